import type { RawData } from "ws";

/** What a peer needs of the connection below it: a port, so that a simulated network can stand in for ws. */
export interface MessageSocket {
  /** In "fragments" a message comes as a list of Buffers, for which nothing has been copied. */
  binaryType: "nodebuffer" | "arraybuffer" | "fragments";
  on(event: "message", listener: (data: RawData) => void): unknown;
  on(event: "error", listener: (cause: Error) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
  /**
   * Messages arrive whole and in order, or the connection ends. Without `fin` the next part belongs to the same message. `sent` is called
   * when the network has taken the part.
   */
  send(part: Uint8Array, options: { binary: true; fin: boolean }, sent?: () => void): void;
  ping(): void;
  close(code: number): void;
  /** Ends the connection without asking the other end. */
  terminate(): void;
}

/** What has come in on the connection so far, whatever it was. */
export interface ByteCount {
  readonly bytesRead: number;
}
