import { invariant } from "../../state/errors.ts";
import type { SeqNum } from "../../state/ids.ts";
import type { Checkpoint, CheckpointStore, CheckpointWriter } from "../../state/logbook/index.ts";

/** Checkpoints in memory: whole or not at all, and durable at once, as the real store's transaction is. */
export class MemoryCheckpoints implements CheckpointStore {
  /** Entries and records that the last `save` changed. */
  written = 0;
  #last: Checkpoint | undefined;
  #entries = new Map<string, Buffer>();
  #records = new Map<SeqNum, Buffer>();

  last(): Checkpoint | undefined {
    return this.#last;
  }

  load(visit: (key: Buffer, value: Buffer) => void): void {
    for (const [key, value] of [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      visit(Buffer.from(key, "latin1"), value);
    }
  }

  record(seqnum: SeqNum): Buffer | undefined {
    return this.#records.get(seqnum);
  }

  save(checkpoint: Checkpoint, write: (to: CheckpointWriter) => void): void {
    const entries = new Map<string, Buffer>();
    const records = new Map(this.#records);
    let written = 0;
    write({
      put: (key, value) => {
        const name = key.toString("latin1");
        invariant(!entries.has(name), `entry ${name} is put twice`);
        entries.set(name, value);
        written += this.#entries.get(name)?.equals(value) === true ? 0 : 1;
      },
      putRecord(seqnum, bytes) {
        records.set(seqnum, Buffer.from(bytes));
        written++;
      },
      keepRecords(isLive) {
        for (const seqnum of [...records.keys()]) {
          if (!isLive(seqnum)) {
            records.delete(seqnum);
          }
        }
      },
    });
    this.#last = checkpoint;
    this.#entries = entries;
    this.#records = records;
    this.written = written;
  }

  refresh(): void {}

  async close(): Promise<void> {}

  /** What a crash leaves. */
  copy(): MemoryCheckpoints {
    const copy = new MemoryCheckpoints();
    copy.#last = this.#last;
    copy.#entries = new Map(this.#entries);
    copy.#records = new Map(this.#records);
    return copy;
  }

  get records(): number {
    return this.#records.size;
  }

  get entries(): number {
    return this.#entries.size;
  }
}
