import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalShard, type Shard } from "../../state/logbook/index.ts";
import { decodeObjectValue, objectSize, openFileBlobs } from "../../state/objects/index.ts";
import { noFaults } from "../../state/ports.ts";
import { openOn, seededRandom } from "../support/file-journal.ts";
import { ManualTime } from "../support/manual-time.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { openTestShard } from "../support/open-shard.ts";
import { describeLogBookContract } from "./logbook-contract.ts";

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
    stop: () => current.shard.close(),
  };
});

describeLogBookContract("a LogBook on the file journal, its owner killed and the power cut,", async () => {
  const time = new ManualTime();
  const directory = await mkdtemp(join(tmpdir(), "neap-logbook-"));
  let disk = new MemoryDisk();
  const open = async () => {
    const journal = await openOn(disk, { segmentBytes: 16 * 1024 * 1024 });
    const blobs = await openFileBlobs({ directory, epoch: journal.epoch, random: seededRandom(`epoch ${journal.epoch}`) });
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
      const image = disk.powerCut();
      await shard.close();
      disk = image;
      shard = await open();
      return shard;
    },
    stop: async () => {
      await shard.close();
      await rm(directory, { recursive: true });
    },
  };
});
