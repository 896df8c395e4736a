/** One run: a cluster, clients and harm, all from one seed; then peace, in which everything must end; then the verdict. */
import { initOf } from "../../host/invocation/instance-record.ts";
import { hasCode, NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import { openFileJournal } from "../../state/journal/index.ts";
import { RecordKind, trimRecord } from "../../state/logbook/index.ts";
import type { Mode } from "../../state/logbook/modes.ts";
import { noFaults } from "../../state/ports.ts";
import { DEFAULT_MODE_TAG, LOCK_BREAKS_TAG, MODES_TAG, objectTag } from "../../state/tags.ts";
import type { MemoryDisk } from "../support/memory-disk.ts";
import { type Prng, prng } from "../support/prng.ts";
import { Clients } from "./clients.ts";
import { Cluster, RETENTION_MS } from "./cluster.ts";
import type { Counts } from "./coverage.ts";
import { objectsOf } from "./final-log.ts";
import { TENANT } from "./founding.ts";
import { checkHistories } from "./histories.ts";
import { drawLayout, uniform } from "./layout.ts";
import type { HistoryRecord } from "./log-history.ts";
import { collect, Nemesis } from "./nemesis.ts";
import { Scheduler } from "./scheduler.ts";
import { Broken, judge } from "./verdict.ts";

export interface Report {
  readonly seed: number;
  /** Of the trace: equal for equal runs. */
  readonly hash: number;
  readonly events: number;
  readonly records: number;
  readonly simulatedMs: number;
  readonly counts: Counts;
  /** undefined when all held. */
  readonly failure: string | undefined;
}

/** What a test may want of a run, instead of what the seed draws. */
export interface Wishes {
  /** The same protocol everywhere. */
  readonly mode?: Mode;
  /** Nothing fails, and every operation is carried out once. */
  readonly isCalm?: boolean;
}

/** The smallest in which all records find room, so that segments are released; or all in one or two of them. */
const SEGMENT_BYTES = [12 * 1024, 32 * 1024] as const;
/** Harm is done until then. */
const STORM_MS = 12_000;
/** After it everything ends within this time. */
const CALM_MS = 120_000;
/** Parked instances are resumed so often: what was parked in the storm must get through in peace. */
const RESUMES_MAX = 3;
const EVENTS_MAX = 60_000;

/** Runs a seed. Never throws: what is wrong is in the report. */
export async function simulate(seed: number, wishes: Wishes = {}): Promise<Report> {
  const run = new Run(seed, wishes);
  const onRejection = (error: unknown): void => run.cluster.fail(error);
  process.on("unhandledRejection", onRejection);
  let failure: string | undefined;
  try {
    await run.whole();
  } catch (error) {
    failure = run.describe(error);
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  const { scheduler, cluster } = run;
  const { hash, events, nowMs } = scheduler;
  const { history, coverage } = cluster;
  const simulatedMs = Math.round(nowMs);
  return { seed, hash: hash >>> 0, events, records: history.durable, simulatedMs, counts: coverage.counts, failure };
}

class Run {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly cluster: Cluster;
  readonly #clients: Clients;
  readonly #nemesis: Nemesis;
  /** Since the harm has ended the disk has room; until then the journal must find that out. */
  #fullUntilMs = 0;
  readonly #random: Prng;

  constructor(seed: number, { mode, isCalm = false }: Wishes) {
    this.seed = seed;
    const random = prng(seed);
    this.#random = random;
    this.scheduler = new Scheduler(seed);
    this.cluster = new Cluster(this.scheduler, seed, {
      computeNodes: random.below(3),
      segmentBytes: SEGMENT_BYTES[random.below(2)] ?? SEGMENT_BYTES[0],
      retriesMax: random.below(3) === 0 ? 1 + random.below(3) : 20,
      layout: mode === undefined ? drawLayout(random) : uniform(mode),
      isCalm,
      suspendAfterMs: isCalm ? CALM_MS : random.below(2) === 0 ? 10_000 : 200 + random.below(1_000),
      // Seldom so long that others finish the instance and all it knew is collected; or often, so that attempts overlap.
      guestPauses: random.below(2) === 0 && !isCalm ? { percent: 5, maxMs: 8_000 } : { percent: 30, maxMs: 300 },
      undurableMaxBytes: random.below(4) === 0 ? 2_000 : 2 ** 20,
      garbageMin: 1 + random.below(6),
      checkpointBytes: random.below(3) === 0 ? Number.POSITIVE_INFINITY : 500 + random.below(15_000),
    });
    this.#clients = new Clients(this.cluster, prng(seed ^ 0xc11e));
    this.#nemesis = new Nemesis(this.cluster, prng(seed ^ 0xbad));
  }

  async whole(): Promise<void> {
    const { cluster } = this;
    cluster.startOwner();
    for (const node of cluster.nodes) {
      node.start();
    }
    this.#clients.start(2 + this.#random.below(3), 2 + this.#random.below(4));
    await this.#until(() => this.#clients.isDone, STORM_MS);
    this.#nemesis.stop();
    this.#fullUntilMs = this.scheduler.nowMs + CALM_MS;
    await this.#peace();
    await this.#judge();
    await this.#collected();
    await this.#reopened();
  }

  /** What a reader of the failure needs to know. */
  describe(error: unknown): string {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const instances = error instanceof Broken ? error.instances : [];
    const timelines = instances.map((instance) => {
      const steps = this.cluster.history.stream(instance).map(describeRecord);
      return `steps of ${instance}, ${this.#inputOf(instance)}\n  ${steps.join("\n  ")}`;
    });
    const key = error instanceof Broken ? error.key : undefined;
    if (key !== undefined) {
      const records = this.cluster.history.records();
      const writes = records.filter((record) => objectsOf(record).includes(key));
      // The step that the version of a log-free write begins with says whose it is.
      const around = new Set(writes.flatMap(({ seqnum, cell }) => [seqnum, cell?.version?.seqnum ?? seqnum]));
      const lines = records.filter(({ seqnum }) => around.has(seqnum)).map(describeRecord);
      timelines.push(`writes of ${key}\n  ${lines.join("\n  ")}`);
    }
    const { layout, ...options } = this.cluster.options;
    const modes = JSON.stringify({ ...layout, scopes: [...layout.scopes], ...options });
    const last = `last events\n  ${this.scheduler.lines().join("\n  ")}`;
    return [`seed ${this.seed}, harm: ${this.#nemesis.harms}, modes: ${modes}`, text, ...timelines, last].join("\n");
  }

  #inputOf(instance: InstanceId): string {
    const [first] = this.cluster.history.stream(instance);
    const input = first === undefined ? undefined : initOf(first).input;
    return input?.kind === "inline" ? Buffer.from(input.bytes).toString() : "a long input";
  }

  async #until(isOver: () => boolean, untilMs: number): Promise<void> {
    const { cluster, scheduler } = this;
    await scheduler.run(() => isOver() || cluster.failure !== undefined, untilMs, EVENTS_MAX);
    if (cluster.failure !== undefined) {
      throw cluster.failure;
    }
    if (scheduler.events >= EVENTS_MAX) {
      throw new Broken(`${EVENTS_MAX} events, and still no end`);
    }
  }

  /** Everything that was begun ends, and every client that may ask again has its answer. */
  async #peace(): Promise<void> {
    const { cluster, scheduler } = this;
    const deadlineMs = scheduler.nowMs + CALM_MS;
    const resumes = new Map<string, number>();
    for (let isFirst = true; ; isFirst = false) {
      await this.#until(() => cluster.owner !== undefined, deadlineMs);
      const { owner } = cluster;
      const unfinished = owner === undefined ? [] : await owner.shard.unfinished(TENANT);
      const isSwitching = owner === undefined || (await owner.shard.scopes(TENANT)).some(({ to }) => to !== null);
      if (unfinished.length === 0 && this.#clients.isDone && !isSwitching) {
        return;
      }
      if (isFirst) {
        cluster.coverage.add("peace: began with calls unfinished", unfinished.length > 0 ? 1 : 0);
        cluster.coverage.add("peace: began with a switch under way", isSwitching ? 1 : 0);
      }
      for (const { instance, parked } of unfinished) {
        const count = resumes.get(instance) ?? 0;
        if (count >= RESUMES_MAX) {
          throw new Broken(`${instance} is parked again and again, long after the harm has ended`, [instance]);
        }
        if (parked) {
          resumes.set(instance, count + 1);
          cluster.coverage.add("peace: resumed a parked call");
          void owner?.invocations.resume(instance, TENANT).catch((error: unknown) => cluster.fail(error));
        }
      }
      if (scheduler.nowMs >= deadlineMs) {
        const left = unfinished.map(({ instance }) => instance);
        const what = this.#clients.isDone ? `a switch, or ${left.length} instances,` : "clients";
        throw new Broken(`${what} are waiting long after the harm has ended`, left);
      }
      await this.#until(() => false, Math.min(deadlineMs, scheduler.nowMs + 1_000));
    }
  }

  async #judge(): Promise<void> {
    const { history, blobs, owner } = this.cluster;
    await this.#settle(async () => owner?.shard.whenDurable(await owner.shard.book(TENANT).tail()));
    const evidence = {
      records: history.records(),
      blobs: blobs.archive,
      layout: this.cluster.options.layout,
      requests: this.#clients.requests,
      answered: this.#clients.answered,
    };
    const judged = await judge(evidence);
    this.cluster.coverage.add("outside: arrived again", this.cluster.outside.judge(judged.log));
    const ways = [...judged.replayed.values()].flatMap(({ done }) => done.map(({ way }) => way));
    this.cluster.coverage.addLog(judged.log, ways);
    checkHistories(judged, evidence, this.cluster.options.isCalm);
  }

  /** After the retention of every result only the objects that there are take room, and the functions. */
  async #collected(): Promise<void> {
    const { cluster } = this;
    const { owner } = cluster;
    if (owner === undefined) {
      throw new Broken("the owner has gone in peace");
    }
    const records = cluster.history.records();
    await this.#settle(async () => {
      const book = owner.shard.book(TENANT);
      await book.append({ records: [trimRecord({ tag: null, upTo: await book.tail() })] });
    });
    for (let round = 0; round < 5; round += 1) {
      owner.process.skewMs += RETENTION_MS;
      // Something must be superseded for a collection to have a reason.
      const book = owner.shard.book(TENANT);
      await this.#settle(async () => {
        for (let i = 0; i <= cluster.options.garbageMin; i += 1) {
          await book.append({ records: [{ kind: RecordKind.delete, tags: [objectTag("room")], data: new Uint8Array(9) }] });
        }
      });
      await this.#settle(() => collect(cluster));
    }
    const book = owner.shard.book(TENANT);
    for (const tag of new Set(records.flatMap((record) => record.tags))) {
      // What functions there are is kept for ever, and so are the last acts of administrators.
      if (tag.startsWith("f/") || tag === LOCK_BREAKS_TAG) {
        continue;
      }
      const { length, kept } = await this.#settle(async () => {
        const found = await book.readStream(tag, 0).then(({ records }) => records.length, trimmed);
        return { length: found, kept: found ?? 0 };
      });
      const hasLast = ["o/", "m/", MODES_TAG, DEFAULT_MODE_TAG].some((prefix) => tag.startsWith(prefix));
      const mayBeTrimmed = hasLast || tag.startsWith("u/");
      if (kept > (hasLast ? 1 : 0) || (!mayBeTrimmed && length === null)) {
        throw new Broken(`${kept} records of ${tag} are kept long after anybody needs them`);
      }
    }
    const own = [...cluster.blobs.files.keys()].filter((name) => name.includes("-")).length;
    const objects = new Set(records.flatMap(objectsOf)).size;
    if (own > objects) {
      throw new Broken(`${own} blobs are kept for ${objects} objects`);
    }
  }

  /** A clean stop loses nothing; a bit that flips afterwards is found, or changes nothing but what nobody was told. */
  async #reopened(): Promise<void> {
    const { cluster, scheduler } = this;
    const { owner } = cluster;
    await this.#settle(async () => owner?.shard.close());
    const image = cluster.disk.kill();
    const frames = await this.#framesOf(image);
    if (frames === undefined) {
      throw new Broken("the journal is refused after a clean stop");
    }
    for (let flips = 0; flips < 3; flips += 1) {
      const damaged = cluster.disk.kill();
      const names = damaged.list().filter((name) => name.endsWith(".seg"));
      const name = names[this.#random.below(names.length)] ?? "";
      damaged.flipBit(name, this.#random.below(damaged.bytes(name).length), this.#random.below(8));
      const found = await this.#framesOf(damaged);
      if (found !== undefined && found.join() !== frames.join()) {
        throw new Broken(`a flipped bit of ${name} went unnoticed: ${found.length} of ${frames.length} frames`);
      }
    }
    scheduler.note(`${frames.length} frames`);
  }

  /** Digests of the frames of a disk; undefined when the opening is refused. */
  async #framesOf(disk: MemoryDisk): Promise<readonly string[] | undefined> {
    const process = this.cluster.newProcess("reader");
    try {
      const journal = await openFileJournal({
        directory: disk.directory,
        disk,
        thread: false,
        segmentBytes: this.cluster.options.segmentBytes,
        clock: process,
        timers: process,
        random: process,
        faults: noFaults,
        onFailure: (error) => this.cluster.fail(error),
      });
      return Array.from(journal.frames(this.cluster.checkpoints.last()?.position), ({ payload }) =>
        Buffer.from(payload).toString("latin1"),
      );
    } catch (error) {
      if (error instanceof NeapError && error.code === "JOURNAL_DAMAGED") {
        return undefined;
      }
      throw error;
    }
  }

  /** Lets the world go on until the promise is settled; once more where the disk has room, and the journal does not know it yet. */
  async #settle<T>(begin: () => Promise<T>): Promise<T> {
    for (;;) {
      let settled = false;
      const promise = begin().finally(() => {
        settled = true;
      });
      promise.catch(() => {});
      const deadlineMs = this.scheduler.nowMs + CALM_MS;
      await this.#until(() => settled, deadlineMs);
      if (!settled) {
        throw new Broken("something asked of the owner in peace was not answered");
      }
      try {
        return await promise;
      } catch (error) {
        if (!hasCode(error, "DISK_FULL") || this.scheduler.nowMs >= this.#fullUntilMs) {
          throw error;
        }
        await this.#until(() => false, this.scheduler.nowMs + 100);
      }
    }
  }
}

function trimmed(error: unknown): null {
  if (error instanceof NeapError && error.code === "TRIMMED") {
    return null;
  }
  throw error;
}

const KIND_NAMES = new Map(Object.entries(RecordKind).map(([name, kind]) => [kind as number, name]));

function describeRecord({ seqnum, kind, timeMs, tags, cell }: HistoryRecord): string {
  const place = cell === undefined ? "" : ` cell ${cell.key} ${JSON.stringify(cell.version)}`;
  return `${seqnum} ${KIND_NAMES.get(kind)} ${tags.join(" ")}${place} at ${timeMs}`;
}
