import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FileJournalOptions, type Journal, openFileJournal } from "../../../../state/journal/index.ts";
import { type FaultPoint, noFaults } from "../../../../state/ports.ts";
import { appendDurably, ManualClock, payloadsOf, SMALL_SEGMENT_BYTES, seededRandom } from "../../../support/file-journal.ts";
import { systemTimers } from "../../../support/system-timers.ts";

const PROCESS = new URL("../../../support/journal-process.ts", import.meta.url).pathname;

let folder = "";
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "neap-journal-"));
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    await kill(child);
  }
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

function open(directory: string, thread: boolean, options: Partial<FileJournalOptions> = {}): Promise<Journal> {
  return openFileJournal({
    directory,
    thread,
    segmentBytes: SMALL_SEGMENT_BYTES,
    clock: new ManualClock(),
    timers: systemTimers,
    random: seededRandom("the same"),
    faults: noFaults,
    onFailure(error) {
      throw error;
    },
    ...options,
  });
}

/** The log thread makes segments when it has nothing else to do. */
async function whenRoom(journal: Journal, sizeBytes: number): Promise<void> {
  while (!journal.hasRoom([sizeBytes], false)) {
    expect(await journal.makeRoom()).toBe(true);
  }
}

/** A process on the folder, ended with the test at the latest, and the lines it prints. */
function start(directory: string, frames: number): { process: ChildProcess; lines: AsyncIterableIterator<string> } {
  const started = spawn(process.execPath, [PROCESS, directory, String(frames)], { stdio: ["ignore", "pipe", "inherit"] });
  child = started;
  return { process: started, lines: createInterface({ input: started.stdout })[Symbol.asyncIterator]() };
}

async function kill(victim: ChildProcess): Promise<void> {
  const exited = once(victim, "exit");
  victim.kill("SIGKILL");
  await exited;
}

test("with a log thread the same bytes get to the same places as without", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  const files: Buffer[][] = [];
  for (const thread of [true, false]) {
    const directory = join(folder, String(thread));
    const expected: string[] = [];
    for (let opening = 0; opening < 2; opening += 1) {
      const journal = await open(directory, thread);
      expect(payloadsOf(journal)).toEqual(expected);
      for (let count = 0; count < 30; count += 1) {
        const payload = `${opening}/${count}/`.padEnd(10 + 60 * count, "x");
        await whenRoom(journal, payload.length);
        const address = await appendDurably(journal, Buffer.from(payload));
        expect(Buffer.from(journal.read(address, payload.length)).toString()).toBe(payload);
        expected.push(payload);
      }
      await journal.close();
    }
    files.push([0, 1, 2, 3, 4, 5, 6].map((number) => readFileSync(join(directory, `000000000${number}.seg`))));
  }
  expect(
    files[0]
      ?.at(-1)
      ?.subarray(64)
      .some((byte) => byte !== 0),
  ).toBe(true);
  expect(files[0]).toEqual(files[1]);
});

test("room is made while nothing else happens, and close does not wait for it", async () => {
  const journal = await open(folder, true, { segmentBytes: 16 * 1024 * 1024 });
  const made = [journal.makeRoom(), journal.makeRoom()];
  expect(await Promise.all(made)).toEqual([true, true]);
  const tried = journal.makeRoom();
  const closed = journal.close();
  expect(await tried).toBe(false);
  expect(await journal.makeRoom()).toBe(false);
  await closed;
  await (await open(folder, true)).close();
});

test("a maximal frame passes through the log thread", async () => {
  const journal = await open(folder, true, { segmentBytes: 4 * 1024 * 1024 });
  const payload = Buffer.from(seededRandom("maximal").bytes(1024 * 1024));
  await whenRoom(journal, payload.length);
  const address = await appendDurably(journal, payload);
  expect(payload.equals(journal.read(address, payload.length))).toBe(true);
  await journal.close();
});

test("the fault points are passed on the thread that ordered the frame", async () => {
  const points: FaultPoint[] = [];
  const journal = await open(folder, true, { faults: { at: (point) => points.push(point) } });
  await appendDurably(journal, Buffer.from("one"));
  expect(points).toEqual(["flush:before", "flush:after"]);
  await journal.close();
});

test("J4: when the log thread cannot write, the journal fails once, reports nothing durable, and can be closed", async () => {
  const durable = vi.fn();
  const failures: unknown[] = [];
  const failed = new Promise<void>((resolve) => {
    void open(folder, true, {
      onFailure(error) {
        failures.push(error);
        resolve();
      },
    }).then((journal) => {
      rmSync(join(folder, "0000000000.seg"));
      journal.onDurable = durable;
      journal.append(Buffer.from("one"));
      return failed.then(() => journal.close());
    });
  });
  await failed;
  expect(failures).toMatchObject([{ code: "ENOENT" }]);
  expect(durable).not.toHaveBeenCalled();
});

test("a process ends by itself, but not before the frame in flight is durable", async () => {
  const { process: writer, lines } = start(folder, 0);
  const exited = once(writer, "exit");
  const printed: string[] = [];
  for await (const line of lines) {
    printed.push(line);
  }
  expect(printed).toEqual(["open", "durable"]);
  expect(await exited).toEqual([0, null]);
  const journal = await open(folder, false);
  expect(payloadsOf(journal)).toEqual(["the only one"]);
  await journal.close();
});

test("J2: kill -9 while frames are written loses no acknowledged one and leaves no gap", async () => {
  let acknowledged = 0;
  for (let round = 0; round < 3; round += 1) {
    const directory = join(folder, String(round));
    const { process: writer, lines } = start(directory, 1_000_000);
    for await (const line of lines) {
      acknowledged = line === "open" ? 0 : Number(line);
      if (acknowledged === 300 + round) {
        break;
      }
    }
    await kill(writer);
    const journal = await open(directory, false);
    const found = payloadsOf(journal);
    expect(found.length).toBeGreaterThanOrEqual(acknowledged);
    expect(found).toEqual(found.map((_, index) => String(index + 1)));
    await journal.close();
  }
});

test("F9: one process has a folder at a time, also one that stands still: another is refused with folder and pid, until kill -9 frees it", async () => {
  const { process: writer, lines } = start(folder, 1);
  expect(await lines.next()).toMatchObject({ value: "open" });
  writer.kill("SIGSTOP");
  const refused = await open(folder, false).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "JOURNAL_LOCKED" });
  expect(String(refused)).toContain(folder);
  expect(String(refused)).toContain(`process ${writer.pid}`);
  await kill(writer);
  const journal = await open(folder, false);
  await expect(open(folder, true)).rejects.toMatchObject({ code: "JOURNAL_LOCKED" });
  await journal.close();
  await (await open(folder, true)).close();
});

test("a folder that cannot be one is refused with FOLDER_UNUSABLE and its name; one that has none above it is made with all of them", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const refused = await open(join(file, "journal"), false).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "FOLDER_UNUSABLE", message: expect.stringContaining(join(file, "journal")) });
  await (await open(join(folder, "a", "b", "journal"), false)).close();
});
