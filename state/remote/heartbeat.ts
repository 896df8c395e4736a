import type { Timers } from "../ports.ts";
import type { ByteCount, MessageSocket } from "./message-socket.ts";

/** Intervals without a single byte after which the other node counts as gone. */
const SILENT_INTERVALS = 3;

/**
 * Pings every `intervalMs` and calls `onSilent` once when nothing at all has come in for three intervals in a row: a stopped
 * process and a pulled cable close nothing. Counts bytes, so that a large message on its way is a sign of life; counts
 * intervals and not time, so that a pause of our own process is not taken for one of the other.
 *
 * @returns ends the watch
 */
export function watchHeartbeat(
  socket: MessageSocket,
  stream: ByteCount,
  timers: Timers,
  intervalMs: number,
  onSilent: () => void,
): () => void {
  let seenBytes = stream.bytesRead;
  let silent = 0;
  let cancel = () => {};
  const beat = (): void => {
    silent = stream.bytesRead === seenBytes ? silent + 1 : 0;
    seenBytes = stream.bytesRead;
    if (silent >= SILENT_INTERVALS) {
      onSilent();
      return;
    }
    socket.ping();
    cancel = timers.after(intervalMs, beat);
  };
  cancel = timers.after(intervalMs, beat);
  return () => cancel();
}
