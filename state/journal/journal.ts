/** The journal SPI: ordered durable bytes. Knows frames; sees no records and no conditions. */

/**
 * Owns: the frames, their order and durability. Does not own: what is in them.
 *
 * J1. Frames come back from `frames()` in the order of `append`, without a gap, whatever happened in between.
 * J2. A frame for which `onDurable` was called survives kill -9 and power loss.
 * J3. At most one frame is in flight, so a crash tears at most the last one.
 * J4. After a failed write or flush nothing is ever reported durable again: the process stops (F12).
 */
export interface Journal {
  /** Drawn when the journal was created; another journal has another one. */
  readonly id: string;
  /** 1 at the first opening, one more at each later one (F1). */
  readonly epoch: number;
  /** Whether `append` may be called: no frame is in flight. */
  readonly idle: boolean;
  /**
   * Every frame that was durable before this opening, oldest first. Called once, before the first `append`. The payloads stay
   * valid, but hold on to more memory than their own.
   *
   * @throws JOURNAL_DAMAGED  a frame is bad or missing; names the file and the offset
   */
  frames(): Iterable<JournalFrame>;
  /**
   * Whether a frame of this size would find room that is already allocated. Records are ordered only while this holds, so that
   * nothing is ordered that cannot be written (F34).
   *
   * @param reserved  true for the host's own records, which may use the reserve
   */
  hasRoom(sizeBytes: number, reserved: boolean): boolean;
  /**
   * Orders a frame and starts to write and flush it. Only while `idle`.
   *
   * @param payload  1 to FRAME_MAX_BYTES bytes; copied before return
   * @returns the address of the payload's first byte, for `read`
   */
  append(payload: Uint8Array): number;
  /** Set once by the owner; called in the order of `append`, each time the frame in flight has become durable. */
  onDurable: () => void;
  /** Bytes of a durable frame at an address that `append` or `frames` gave (plus an offset into that payload). */
  read(address: number, sizeBytes: number): Uint8Array;
  /** Waits for the frame in flight, writes the closing empty frame (F33) and gives the folder back. */
  close(): Promise<void>;
}

export interface JournalFrame {
  readonly address: number;
  readonly payload: Uint8Array;
}

export const FRAME_MAX_BYTES = 1024 * 1024;
