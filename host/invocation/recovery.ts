/**
 * The recovery scanner: runs instances that have a first record, no DONE, and nobody who runs them.
 *
 * Running one that is alive after all is harmless: its attempts are peers. Before each take-over an ATTEMPT record is durable, so
 * that an instance that kills hosts is found out by the log and parked (F27).
 */
import { type InstanceId, type LogBookId, MAX_SEQNUM } from "../../state/ids.ts";
import { endsInstance, type LogRecord, RecordKind, type Shard, type UnfinishedInstance } from "../../state/logbook/index.ts";
import { stepTag } from "../../state/tags.ts";
import { note, park } from "./attempt-notes.ts";
import { cancelInstance } from "./cancellation.ts";
import { type InstanceRunner, type InvocationContext, isSessionOver, shardOf, Trace, toNeapError } from "./context.ts";
import { initOf } from "./instance-record.ts";
import { after } from "./pause.ts";
import { pinAgain } from "./pinned-reads.ts";

/** Taken over at once. */
const CLAIM_MAX = 64;

export class Recovery {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  #cancelTimer: () => void = () => {};
  #scanning = false;
  /** Somebody has asked for a scan while one was under way, which may have looked too early. */
  #scanAgain = false;
  #stopped = false;

  constructor(context: InvocationContext, runner: InstanceRunner) {
    this.#context = context;
    this.#runner = runner;
  }

  start(intervalMs: number): void {
    void this.#scan();
    this.#cancelTimer = this.#context.timers.after(intervalMs, () => this.start(intervalMs));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
  }

  /** Looks for a delayed call when its time has come: not only at the next interval. */
  lookAt(notBeforeMs: number): void {
    after(this.#context, notBeforeMs - this.#context.clock.now(), () => void this.#scan());
  }

  /** Lets a parked instance run again. */
  async resume(instance: InstanceId, tenant: LogBookId): Promise<void> {
    const shard = await shardOf(this.#context);
    await note(shard, tenant, instance, RecordKind.resumed, "by the administrator");
    void this.#scan();
  }

  async #scan(): Promise<void> {
    const shard = this.#context.source.current();
    if (shard === undefined || this.#stopped) {
      return;
    }
    if (this.#scanning) {
      this.#scanAgain = true;
      return;
    }
    this.#scanning = true;
    try {
      while (!this.#stopped && (await this.#takeOverSome(shard))) {
        // More may be waiting.
      }
    } catch (error) {
      if (!isSessionOver(error)) {
        this.#context.log.error(`recovery scan failed: ${toNeapError(error).message}`, { error });
      }
    } finally {
      this.#scanning = false;
    }
    if (this.#scanAgain) {
      this.#scanAgain = false;
      await this.#scan();
    }
  }

  /** @returns whether there was any */
  async #takeOverSome(shard: Shard): Promise<boolean> {
    const claimed = await shard.claim(CLAIM_MAX);
    await Promise.all(
      claimed.map((one) =>
        this.#takeOver(shard, one).catch(async (error: unknown) => {
          // For the next scan, or another node's.
          await shard.release(one.book, one.instance);
          throw error;
        }),
      ),
    );
    return claimed.length > 0;
  }

  async #takeOver(shard: Shard, { book, instance, attempts }: UnfinishedInstance): Promise<void> {
    const { limits, log } = this.#context;
    if (this.#runner.outcome(instance) !== undefined) {
      // It lost its session, not its host, and goes on in this one.
      return;
    }
    const { records } = await shard.book(book).readStream(stepTag(instance), 0);
    const first = records[0];
    if (first === undefined) {
      return;
    }
    const init = initOf(first);
    if (init.bound && (await this.#isAbandoned(shard, book, first))) {
      await cancelInstance(shard, book, instance, (one) => this.#runner.stop(one));
      return;
    }
    if (attempts >= limits.attemptsMax) {
      const reason = `was running in ${attempts} hosts that died`;
      log.error(`parked: ${reason}`, { tenant: book, instance });
      if (records.at(-1)?.kind === RecordKind.resume) {
        // Since then it has done nothing that whoever goes on would not do anew.
        await pinAgain(shard, book, instance, records.length);
      }
      await park(shard, book, instance, reason);
      return;
    }
    await note(shard, book, instance, RecordKind.attempt, String(attempts + 1));
    const isBeginning = init.notBeforeMs > 0 && records.length === 1 && attempts === 0;
    log.info(isBeginning ? "a delayed call begins" : `recovering, attempt ${attempts + 1}`, { tenant: book, instance });
    const { epoch } = shard;
    const begin = { kind: "logged", pinsFirst: attempts + 1 >= limits.attemptsMax } as const;
    void this.#runner.run({ tenant: book, instance, init, epoch, begin }, new Trace());
  }

  /** Whether the caller of a bound call has ended without it (F40). A parked caller may go on. */
  async #isAbandoned(shard: Shard, book: LogBookId, invoke: LogRecord): Promise<boolean> {
    const [callerTag] = invoke.tags;
    const caller = callerTag === undefined ? null : (await shard.book(book).readPrev(callerTag, MAX_SEQNUM)).record;
    return caller === null || endsInstance(caller.kind);
  }
}
