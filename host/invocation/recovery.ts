/**
 * The recovery scanner: runs instances that have a first record, no DONE, and nobody who runs them.
 *
 * Running one that is alive after all is harmless: its attempts are peers. Before each take-over an ATTEMPT record is durable, so
 * that an instance that kills hosts is found out by the log and parked (F27).
 */
import { NeapError } from "../../state/errors.ts";
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { type NewRecord, RecordKind, type Shard, type UnfinishedInstance } from "../../state/logbook/index.ts";
import { attemptTag, stepTag } from "../../state/tags.ts";
import { type InstanceRunner, type InvocationContext, isSessionOver, Trace } from "./context.ts";
import { initOf } from "./instance-record.ts";

/** Taken over at once. */
const CLAIM_MAX = 64;

export class Recovery {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  #timer: NodeJS.Timeout | undefined;
  #scanning = false;
  #stopped = false;

  constructor(context: InvocationContext, runner: InstanceRunner) {
    this.#context = context;
    this.#runner = runner;
  }

  start(intervalMs: number): void {
    void this.#scan();
    this.#timer = setInterval(() => void this.#scan(), intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** @throws UNKNOWN_INSTANCE when it is not parked */
  async resume(instance: InstanceId, tenant: LogBookId): Promise<void> {
    const { source, limits } = this.#context;
    const shard = source.current() ?? (await source.available(limits.ownerTimeoutMs));
    const parked = (await shard.unfinished(tenant)).find((one) => one.instance === instance && one.parked);
    if (parked === undefined) {
      throw new NeapError("UNKNOWN_INSTANCE", `instance ${instance} is not parked`);
    }
    await this.#note(shard, tenant, instance, RecordKind.resumed, "by the administrator");
    await shard.release(tenant, instance);
    void this.#scan();
  }

  async #scan(): Promise<void> {
    const shard = this.#context.source.current();
    if (shard === undefined || this.#scanning || this.#stopped) {
      return;
    }
    this.#scanning = true;
    try {
      for (let claimed = await shard.claim(CLAIM_MAX); claimed.length > 0; claimed = await shard.claim(CLAIM_MAX)) {
        await Promise.all(claimed.map((one) => this.#takeOver(shard, one)));
      }
    } catch (error) {
      if (!isSessionOver(error)) {
        this.#context.log.error(`recovery scan failed: ${String(error)}`, {});
      }
    } finally {
      this.#scanning = false;
    }
  }

  async #takeOver(shard: Shard, { book, instance, attempts }: UnfinishedInstance): Promise<void> {
    const { limits, log } = this.#context;
    if (attempts >= limits.attemptsMax) {
      const reason = `was running in ${attempts} hosts that died`;
      log.error(`parked: ${reason}`, { tenant: book, instance });
      await this.#note(shard, book, instance, RecordKind.parked, reason);
      return;
    }
    await this.#note(shard, book, instance, RecordKind.attempt, String(attempts + 1));
    const { records } = await shard.book(book).readStream(stepTag(instance), 0);
    const first = records[0];
    if (first === undefined) {
      return;
    }
    log.info(`recovering, attempt ${attempts + 1}`, { tenant: book, instance });
    const outcome = this.#runner.run({ tenant: book, instance, init: initOf(first), begin: { kind: "logged" } }, new Trace());
    outcome.catch((error: unknown) => log.error(`recovery failed: ${String(error)}`, { tenant: book, instance }));
  }

  /** Durable when it resolves. */
  async #note(shard: Shard, book: LogBookId, instance: InstanceId, kind: RecordKind, text: string): Promise<void> {
    const record: NewRecord = { kind, tags: [attemptTag(instance)], data: Buffer.from(text) };
    const result = await shard.book(book).append({ records: [record] });
    if (result.kind === "appended") {
      await shard.whenDurable(result.seqnum);
    }
  }
}
