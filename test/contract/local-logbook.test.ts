import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileJournal } from "../../state/journal/index.ts";
import { openLocalShard, type Shard } from "../../state/logbook/index.ts";
import { decodeObjectValue, objectSize, openFileBlobs } from "../../state/objects/index.ts";
import { noFaults } from "../../state/ports.ts";
import { seededRandom } from "../support/file-journal.ts";
import { ManualTime } from "../support/manual-time.ts";
import { openTestShard } from "../support/open-shard.ts";
import { systemTimers } from "../support/system-timers.ts";
import { describeLogBookContract } from "./logbook/contract.ts";

describeLogBookContract("a LogBook in its owner's process", async () => {
  let current = await openTestShard();
  return {
    shard: current.shard,
    restart: async (): Promise<Shard> => {
      const next = await current.crash();
      await current.shard.close();
      current = next;
      return next.shard;
    },
    collect: () => current.shard.collect(),
    advance: (durationMs) => current.time.advance(durationMs),
    stop: () => current.shard.close(),
  };
});

describeLogBookContract("a LogBook on files, its owner killed,", async () => {
  const time = new ManualTime();
  const directory = await mkdtemp(join(tmpdir(), "neap-logbook-"));
  let opening = 0;
  const open = async () => {
    opening++;
    const random = seededRandom(`opening ${opening}`);
    const journal = await openFileJournal({
      directory: join(directory, `journal-${opening}`),
      thread: false,
      segmentBytes: 4 * 1024 * 1024,
      clock: time,
      timers: systemTimers,
      random,
      faults: noFaults,
      onFailure: (error) => {
        throw error;
      },
    });
    const blobs = await openFileBlobs({ directory: join(directory, "blobs"), epoch: journal.epoch, random });
    return openLocalShard({
      journal,
      blobs,
      objectSizeBytes: (record) => objectSize(decodeObjectValue(record) ?? { kind: "inline", bytes: new Uint8Array(0) }),
      clock: time,
      timers: time,
      faults: noFaults,
    });
  };
  let shard = await open();
  return {
    shard,
    restart: async (): Promise<Shard> => {
      // What the files hold now is what a killed process leaves.
      await cp(join(directory, `journal-${opening}`), join(directory, `journal-${opening + 1}`), { recursive: true });
      await shard.close();
      shard = await open();
      return shard;
    },
    collect: () => shard.collect(),
    advance: (durationMs) => time.advance(durationMs),
    stop: async () => {
      await shard.close();
      await rm(directory, { recursive: true });
    },
  };
});
