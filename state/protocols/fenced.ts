/** Why an attempt may not go on. Thrown by the step stream; the guest is stopped and nothing it computes later counts. */
export type FenceReason =
  /** Start again: from the log if something is logged, else from the input with a fresh cursor. */
  | "restart"
  /** The instance has its DONE. */
  | "closed"
  /** Reload the stream or stop (F20). */
  | "badPosition"
  /** The log holds another operation at this position (F32). */
  | "notDeterministic";

export class Fenced extends Error {
  override name = "Fenced";
  readonly reason: FenceReason;
  constructor(reason: FenceReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
