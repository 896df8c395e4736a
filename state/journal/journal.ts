/** The journal SPI: ordered durable bytes. Knows frames; sees no records and no conditions. */

/** A place between two frames. Structured-cloneable. */
export interface JournalPosition {
  /** Frames before it, counted over the whole journal. */
  readonly frame: number;
  /** Of the byte after the last of them. Addresses are never used again. */
  readonly address: number;
}

export const JOURNAL_BEGIN: JournalPosition = { frame: 0, address: 0 };

/** The journal as somebody sees it who only reads: its owner, or another thread. */
export interface JournalReader {
  /** Drawn when the journal was created; another journal has another one. */
  readonly id: string;
  /**
   * The frames after `from` that were durable before this opening, or those up to `to`, oldest first. The payloads stay valid, but
   * hold on to more memory than their own.
   *
   * @param from  default JOURNAL_BEGIN
   * @param to  a position that was `durable`
   * @throws JOURNAL_DAMAGED  a frame is bad, missing or released, or `from` is not in this journal; names the file and the offset
   */
  frames(from?: JournalPosition, to?: JournalPosition): Iterable<JournalFrame>;
  /** Bytes of a durable frame at an address that `append` or `frames` gave (plus an offset into that payload). */
  read(address: number, sizeBytes: number): Uint8Array;
}

/**
 * Owns: the frames, their order and durability. Does not own: what is in them.
 *
 * J1. Frames come back from `frames()` in the order of `append`, without a gap, whatever happened in between.
 * J2. A frame for which `onDurable` was called survives kill -9 and power loss.
 * J3. At most one frame is in flight, so a crash tears at most the last one.
 * J4. After a failed write or flush nothing is ever reported durable again: the process stops (F12).
 * J5. What is released goes oldest first, so that a crash leaves the journal without some of its first frames and no others.
 */
export interface Journal extends JournalReader {
  /** 1 at the first opening, one more at each later one (F1). */
  readonly epoch: number;
  /** Whether `append` may be called: no frame is in flight. */
  readonly idle: boolean;
  /** The lowest address that can still be read; what was before is released. */
  readonly start: number;
  /** Everything before is durable. */
  readonly durable: JournalPosition;
  /** The largest payload: FRAME_MAX_BYTES, or less where segments are small. */
  readonly frameMaxBytes: number;
  /**
   * Whether frames with payloads of these sizes, appended in this order, would find room that is already allocated. Records are
   * ordered only while this holds, so that nothing is ordered that cannot be written (F34).
   *
   * @param reserved  true for the host's own records, which may use the reserve
   */
  hasRoom(payloads: readonly number[], reserved: boolean): boolean;
  /**
   * Makes more room, unless it is being made already. Resolves to whether there is more; false when the disk has none, which was
   * tried after the call, or when the journal has failed or is closed.
   */
  makeRoom(): Promise<boolean>;
  /**
   * Orders a frame and starts to write and flush it. Only while `idle`.
   *
   * @param payload  1 to `frameMaxBytes` bytes; copied before return
   * @returns the address of the payload's first byte, for `read`
   */
  append(payload: Uint8Array): number;
  /** Set once by the owner; called in the order of `append`, each time the frame in flight has become durable. */
  onDurable: () => void;
  /**
   * What lies before this address is not needed any more. Its room is used again, or given back, at some time after this call; what
   * of it is still there moves `start`.
   */
  release(before: number): void;
  /** Waits for the frame in flight, writes the closing empty frame (F33) and gives the folder back. */
  close(): Promise<void>;
}

export interface JournalFrame {
  readonly address: number;
  /** After it. */
  readonly end: JournalPosition;
  readonly payload: Uint8Array;
}

export const FRAME_MAX_BYTES = 1024 * 1024;
