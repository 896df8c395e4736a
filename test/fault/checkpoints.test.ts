import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type InstanceId, MAX_SEQNUM } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { keyTag, objectTag, stepTag } from "../../state/tags.ts";
import { CHECKPOINTED_BOOK, objectOf, openCheckpointed, SEGMENT_BYTES } from "../support/checkpointed-shard.ts";
import { removeFolder, temporaryFolder } from "../support/host-process.ts";
import { prng } from "../support/prng.ts";
import { flip, framesOf } from "../support/segment-file.ts";

const KILLS = 8;
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("checkpoints");
});
afterEach(() => removeFolder(folder));

/** Files of the journal that take a segment's room. */
const segments = (): string[] => readdirSync(join(folder, "journal")).filter((name) => name.includes(".seg"));

/** Runs a process that writes until it has printed `lines` numbers, and let go of a segment, and kills it there; or to its end. */
async function run(writes: number, lines = Number.POSITIVE_INFINITY): Promise<{ open: string[]; acknowledged: number }> {
  const process_ = spawn(
    process.execPath,
    [join(import.meta.dirname, "../support/checkpoint-process.ts"), folder, String(writes)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const exited = once(process_, "exit");
  let open: string[] = [];
  let acknowledged = 0;
  let count = 0;
  for await (const line of createInterface({ input: process_.stdout })) {
    if (line.startsWith("open")) {
      open = line.split(" ").slice(1);
    } else if (line !== "closed") {
      const [number, start] = line.split(" ").map(Number);
      acknowledged = number ?? 0;
      count += 1;
      if (count >= lines && (start ?? 0) > Number(open[0])) {
        process_.kill("SIGKILL");
      }
    }
  }
  const [code, signal] = await exited;
  expect([code, signal]).toEqual(lines === Number.POSITIVE_INFINITY ? [0, null] : [null, "SIGKILL"]);
  return { open, acknowledged };
}

describe("an owner with checkpoints in LMDB", () => {
  it(`F12, F19: loses nothing acknowledged over ${KILLS} SIGKILLs while checkpoints are made and segments reused`, {
    timeout: 240_000,
  }, async () => {
    const random = prng(seed);
    let acknowledged = 0;
    let start = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const { open, acknowledged: last } = await run(100_000, 200 + random.below(400));
      if (kill > 0) {
        expect(open.slice(1).join(" "), `seed ${seed}`).toBe("written once");
        expect(Number(open[0])).toBeGreaterThanOrEqual(start);
      }
      start = Number(open[0]);
      expect(last, `seed ${seed}`).toBeGreaterThan(acknowledged);
      acknowledged = last;
    }
    const { shard, get } = await openCheckpointed(folder);
    expect(await get("once")).toBe("written once");
    expect(Number(await get("last"))).toBeGreaterThanOrEqual(acknowledged);
    for (let number = acknowledged; number > acknowledged - 20; number--) {
      expect(Number(await get(objectOf(number))), `seed ${seed}`).toBeGreaterThanOrEqual(number);
    }
    await shard.close();
  });

  it("[54] 100,000 instances, one after the other, leave neither more memory nor more room taken than the first of them", {
    timeout: 240_000,
  }, async () => {
    // A call every ms; every tenth has a key, whose result is kept for a second, and the key as long again.
    let nowMs = 0;
    const clock = { now: () => nowMs, monotonic: () => performance.now() };
    // Checkpoints at the looks alone: how far behind those are that come by themselves is a matter of the machine's speed.
    const options = { clock, options: { retentionMs: 1_000, checkpointBytes: Number.POSITIVE_INFINITY } };
    const { shard, journal, put } = await openCheckpointed(folder, options);
    await put("once", "written once");
    const book = shard.book(CHECKPOINTED_BOOK);
    const data = Buffer.alloc(100);
    const looks: { records: number; heapBytes: number; diskBytes: number }[] = [];
    for (let number = 1; number <= 100_000; number++) {
      nowMs += 1;
      const steps = stepTag(`instance-${number}` as InstanceId);
      const init = { kind: RecordKind.init, tags: number % 10 === 0 ? [steps, keyTag("f", `key-${number}`)] : [steps], data };
      const initialCursor = await book.tail();
      const write = { kind: RecordKind.write, tags: [steps, objectTag(objectOf(number))], data, initialCursor };
      await book.append({
        records: [init, write, { kind: RecordKind.done, tags: [steps], data }],
        when: [{ tag: steps, length: 0 }],
      });
      if (number % 1_000 === 0) {
        await shard.whenDurable(await book.tail());
        await shard.collect();
      }
      if (number % 10_000 === 0) {
        await shard.checkpoint();
        collectGarbage();
        looks.push({
          records: Object.values(RecordKind).reduce((sum, kind) => sum + shard.live(kind).records, 0),
          heapBytes: process.memoryUsage().heapUsed,
          diskBytes: segments().length * SEGMENT_BYTES + statSync(join(folder, "checkpoint/data.mdb")).size,
        });
      }
    }
    // What a checkpoint makes superfluous goes with the next one.
    const [, first, ...later] = looks;
    // 44 MB were written.
    expect(journal.start).toBeGreaterThan(600 * SEGMENT_BYTES);
    for (const { records, heapBytes, diskBytes } of later) {
      expect(records).toBeLessThan(2 * (first?.records ?? 0));
      // A thread may still be deleting segments. Without that there would be eight times as much in the end.
      expect(diskBytes).toBeLessThan(3 * (first?.diskBytes ?? 0));
      // Far less than a name for each instance that came since.
      expect(heapBytes).toBeLessThan((first?.heapBytes ?? 0) + 20 * 90_000);
    }
    await shard.close();
    const again = await openCheckpointed(folder, options);
    expect(again.shard.epoch).toBe(2);
    expect(await again.get("once")).toBe("written once");
    expect((await again.shard.book(CHECKPOINTED_BOOK).readPrev(keyTag("f", "key-100000"), MAX_SEQNUM)).record).not.toBeNull();
    expect((await again.shard.book(CHECKPOINTED_BOOK).readPrev(keyTag("f", "key-90000"), MAX_SEQNUM)).record).toBeNull();
    await again.shard.close();
  });

  it("F19: is refused without its checkpoint, without a segment it needs, and with another moment's checkpoint", async () => {
    await run(150);
    const early = `${folder}/early`;
    cpSync(join(folder, "checkpoint"), early, { recursive: true });
    await run(400);
    const damage = { code: "JOURNAL_DAMAGED" };
    const checkpoint = join(folder, "checkpoint");
    cpSync(checkpoint, `${folder}/late`, { recursive: true });

    rmSync(checkpoint, { recursive: true });
    await expect(openCheckpointed(folder)).rejects.toMatchObject(damage);
    await expect(openCheckpointed(folder)).rejects.toThrow(
      /\.seg at offset 0: the file is missing and still needed: there is no checkpoint/,
    );

    rmSync(checkpoint, { recursive: true });
    cpSync(early, checkpoint, { recursive: true });
    await expect(openCheckpointed(folder)).rejects.toThrow(/still needed: the checkpoint ends with frame \d+/);

    rmSync(checkpoint, { recursive: true });
    cpSync(`${folder}/late`, checkpoint, { recursive: true });
    const { shard, get } = await openCheckpointed(folder);
    expect([await get("once"), await get("last")]).toEqual(["written once", "550"]);
    await shard.close();

    rmSync(join(folder, "journal"), { recursive: true });
    await expect(openCheckpointed(folder)).rejects.toThrow(
      /the checkpoint is of journal [0-9a-f]{32}, the journal is [0-9a-f]{32}/,
    );
  });

  it("F33: reads what the checkpoint has from there: damage to earlier segments changes nothing", async () => {
    const { shard, put } = await openCheckpointed(folder);
    // More than a segment of objects that stay.
    for (let number = 0; number < 60; number++) {
      await put(`kept/${number}`, String(number));
    }
    await shard.whenDurable(await shard.book(CHECKPOINTED_BOOK).tail());
    await shard.checkpoint();
    await shard.close();
    const first = join(folder, "journal/0000000000.seg");
    const frames = framesOf(first);
    for (const { offset, sizeBytes } of frames) {
      flip(first, offset, sizeBytes);
    }
    for (let opening = 0; opening < 2; opening++) {
      const again = await openCheckpointed(folder);
      for (let number = 0; number < 60; number++) {
        expect(await again.get(`kept/${number}`)).toBe(String(number));
      }
      await again.shard.close();
    }
    rmSync(join(folder, "checkpoint"), { recursive: true });
    await expect(openCheckpointed(folder)).rejects.toThrow(`${first} at offset ${frames[0]?.offset}: `);
  });

  it("F19: reads the whole journal when the checkpoint is deleted while all segments are there", async () => {
    await run(10);
    rmSync(join(folder, "checkpoint"), { recursive: true });
    const { shard, get } = await openCheckpointed(folder);
    expect([await get("once"), await get("last")]).toEqual(["written once", "10"]);
    await shard.close();
  });
});
