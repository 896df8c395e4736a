/**
 * The recovery scanner: runs instances that have a first record, no DONE, and nobody who runs them.
 *
 * Running one that is alive after all is harmless: its attempts are peers. Before each take-over an ATTEMPT record is durable, so
 * that an instance that kills hosts is found out by the log and parked (F27).
 */
import { NeapError } from "../../state/errors.ts";
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { RecordKind, type Shard, type UnfinishedInstance } from "../../state/logbook/index.ts";
import { stepTag } from "../../state/tags.ts";
import { note, park } from "./attempt-notes.ts";
import { type InstanceRunner, type InvocationContext, isSessionOver, Trace, toNeapError } from "./context.ts";
import { initOf } from "./instance-record.ts";

/** Taken over at once. */
const CLAIM_MAX = 64;

export class Recovery {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  #cancelTimer: () => void = () => {};
  #scanning = false;
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

  /** @throws UNKNOWN_INSTANCE when it is not parked */
  async resume(instance: InstanceId, tenant: LogBookId): Promise<void> {
    const { source, limits } = this.#context;
    const shard = source.current() ?? (await source.available(limits.ownerTimeoutMs));
    const parked = (await shard.unfinished(tenant)).find((one) => one.instance === instance && one.parked);
    if (parked === undefined) {
      throw new NeapError("UNKNOWN_INSTANCE", `instance ${instance} is not parked`);
    }
    await note(shard, tenant, instance, RecordKind.resumed, "by the administrator");
    void this.#scan();
  }

  async #scan(): Promise<void> {
    const shard = this.#context.source.current();
    if (shard === undefined || this.#scanning || this.#stopped) {
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
    if (this.#runner.isRunning(instance)) {
      // It lost its session, not its host, and goes on in this one.
      return;
    }
    if (attempts >= limits.attemptsMax) {
      const reason = `was running in ${attempts} hosts that died`;
      log.error(`parked: ${reason}`, { tenant: book, instance });
      await park(shard, book, instance, reason);
      return;
    }
    await note(shard, book, instance, RecordKind.attempt, String(attempts + 1));
    const { records } = await shard.book(book).readStream(stepTag(instance), 0);
    const first = records[0];
    if (first === undefined) {
      return;
    }
    log.info(`recovering, attempt ${attempts + 1}`, { tenant: book, instance });
    const { epoch } = shard;
    void this.#runner.run({ tenant: book, instance, init: initOf(first), epoch, begin: { kind: "logged" } }, new Trace());
  }
}
