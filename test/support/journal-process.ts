/**
 * A process that opens the journal of a folder with a log thread: `journal-process.ts <folder> <frames>`.
 *
 * Prints "open", then appends frames "1", "2", … and prints each number once it is durable. After the last one it holds the folder
 * until it is killed; with 0 frames it appends "the only one" and ends by itself without closing.
 */
import { randomBytes } from "node:crypto";
import { openFileJournal } from "../../state/journal/index.ts";
import { noFaults } from "../../state/ports.ts";
import { ManualClock, SMALL_SEGMENT_BYTES } from "./file-journal.ts";
import { systemTimers } from "./system-timers.ts";

const [directory = "", frames = "0"] = process.argv.slice(2);
const journal = await openFileJournal({
  directory,
  thread: true,
  segmentBytes: 64 * SMALL_SEGMENT_BYTES,
  clock: new ManualClock(),
  timers: systemTimers,
  random: { bytes: randomBytes },
  faults: noFaults,
  onFailure(error) {
    throw error;
  },
});
process.stdout.write("open\n");
const last = Number(frames);
if (last === 0) {
  journal.onDurable = () => process.stdout.write("durable\n");
  journal.append(Buffer.from("the only one"));
} else {
  setInterval(() => {}, 60_000);
  let next = 1;
  journal.onDurable = () => {
    process.stdout.write(`${next}\n`);
    next += 1;
    if (next <= last) {
      journal.append(Buffer.from(String(next)));
    }
  };
  journal.append(Buffer.from(String(next)));
}
