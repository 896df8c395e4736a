/**
 * A whole host without HTTP, in this process: the real state, invocation and sandbox layers over a disk in memory that can be
 * crashed at any fault point. The sandbox pool is shared, as it knows no state.
 */

import { abiTable, importsUrl } from "../../host/abi/index.ts";
import type { Egress } from "../../host/egress/index.ts";
import type { CallAnswer, CallRequest, InvocationContext, InvocationLimits } from "../../host/invocation/index.ts";
import { createInvocations, type InvocationService, PartHost } from "../../host/invocation/index.ts";
import { FunctionRegistry, RETRY_CAUSES, type UploadOptions } from "../../host/modules/index.ts";
import { Admission, Offload } from "../../host/offload/index.ts";
import { ProcessStarter } from "../../host/processes/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { type Log, silentLog } from "../../host/telemetry/index.ts";
import { type LogBookId, MAX_SEQNUM } from "../../state/ids.ts";
import { inlineCheckpoints, type LocalShard, openLocalShard } from "../../state/logbook/index.ts";
import { decodeObjectValue, objectSize } from "../../state/objects/index.ts";
import type { Clock, FaultPoint, Faults, Random } from "../../state/ports.ts";
import { objectTag } from "../../state/tags.ts";
import { openOn } from "./file-journal.ts";
import { sampleModule } from "./host-process.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { MemoryCheckpoints } from "./memory-checkpoints.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { noMoves } from "./no-moves.ts";
import { regionsOf } from "./region-memory.ts";
import { ScriptedEgress } from "./scripted-egress.ts";
import { systemTimers } from "./system-timers.ts";
import { testTenancy } from "./test-tenancy.ts";

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
const random: Random = { bytes: (sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)) };

const tenancy = testTenancy({ memoryMaxPages: 1024, uploadTimeoutMs: 120_000, wallTimeMs: 20_000, outputMaxBytes: 2 ** 20 });
const SEGMENT_BYTES = 256 * 1024;
/** Less than one call writes. */
const CHECKPOINT_BYTES = 2_000;

/** How a crash treats what was written and not flushed. */
export type Crash = "kill" | "powerCut";

export const testPool = (): Promise<SandboxPool> =>
  createSandboxPool({ name: "test", workers: 1, importsUrl, clock, sandboxesMax: 1000 });

/** What survives a crash. */
export interface Remains {
  readonly disk: MemoryDisk;
  readonly blobs: MemoryBlobs;
  readonly checkpoints: MemoryCheckpoints;
}

/** Of a world that has never been. */
export const noRemains = (): Remains => ({
  disk: new MemoryDisk(),
  blobs: new MemoryBlobs(),
  checkpoints: new MemoryCheckpoints(),
});

export class World {
  readonly shard: LocalShard;
  readonly functions: FunctionRegistry;
  readonly invocations: InvocationService;
  /** Another node's, over the same state: they know nothing of each other. */
  readonly elsewhere: InvocationService;
  /** For what a test puts in front of this world, so that it can crash there, too. */
  readonly faults: Faults;
  /** Resolves at the crash; from then on nothing of this world counts. */
  readonly crashed: Promise<Remains>;

  private constructor(
    shard: LocalShard,
    functions: FunctionRegistry,
    [invocations, elsewhere]: readonly [InvocationService, InvocationService],
    faults: Faults,
    crashed: Promise<Remains>,
  ) {
    this.shard = shard;
    this.functions = functions;
    this.invocations = invocations;
    this.elsewhere = elsewhere;
    this.faults = faults;
    this.crashed = crashed;
  }

  /**
   * @param starter  for modules that have to be rewritten
   * @param onFault  called at each fault point: an answer other than null crashes the world right there
   */
  static async open(
    pool: SandboxPool,
    remains: Remains,
    onFault: (point: FaultPoint) => Crash | null,
    egress: Egress = new ScriptedEgress(),
    { log = silentLog, starter, ...limits }: Partial<InvocationLimits> & { log?: Log; starter?: ProcessStarter } = {},
  ): Promise<World> {
    const { promise: crashed, resolve } = Promise.withResolvers<Remains>();
    let gone = false;
    const faults: Faults = {
      at(point) {
        const crash = gone ? null : onFault(point);
        if (crash !== null) {
          gone = true;
          const disk = crash === "kill" ? remains.disk.kill() : remains.disk.powerCut();
          resolve({ disk, blobs: copyOf(remains.blobs), checkpoints: remains.checkpoints.copy() });
        }
      },
    };
    const journal = await openOn(remains.disk, { segmentBytes: SEGMENT_BYTES, faults, random, clock, timers: systemTimers });
    const shard = await openLocalShard({
      journal,
      blobs: remains.blobs,
      objectSizeBytes: (record) => {
        const value = decodeObjectValue(record);
        return value === null ? 0 : objectSize(value);
      },
      clock,
      timers: systemTimers,
      faults,
      checkpoints: inlineCheckpoints(journal, remains.checkpoints, faults, (error) => {
        throw error;
      }),
      options: { checkpointBytes: CHECKPOINT_BYTES },
    });
    const rewriting = starter !== undefined && { starter };
    const functions = new FunctionRegistry({ shards: shard, abi: abiTable, tenancy, cacheMaxBytes: 2 ** 26, ...rewriting });
    const partHost = new PartHost({
      name: "storage",
      shard,
      functions,
      pool,
      admission: new Admission({ slots: 4, cpuThreshold: 1, memoryThreshold: 1 }, () => ({ cpuShare: 0, memoryShare: 0 })),
      log: silentLog,
      tenancy,
      runAhead: true,
    });
    const context: InvocationContext = {
      source: shard,
      functions,
      tenancy,
      pool,
      regions: regionsOf({ clock, timers: systemTimers }, pool),
      moves: noMoves(),
      offload: new Offload("marked", () => partHost),
      egress,
      clock,
      timers: systemTimers,
      random,
      log,
      faults,
      nodeName: "compute",
      runAhead: true,
      limits: {
        suspendAfterMs: 10_000,
        parkedMaxBytes: 0,
        objectMaxBytes: 2 ** 24,
        // Fewer crashes than that park no instance.
        attemptsMax: 10,
        retry: { attemptsMax: 10, backoffMs: 50, backoffMaxMs: 1000, causes: RETRY_CAUSES },
        ownerTimeoutMs: 1000,
        ...limits,
      },
    };
    const invocations = createInvocations(context);
    const elsewhere = createInvocations({ ...context, nodeName: "elsewhere" });
    invocations.startRecovery(20);
    // What is gone looks for nothing any more, and leaves the pool to others; but first those hear of it who have called it.
    void crashed.then(() => setImmediate(() => Promise.all([invocations.drain(0), elsewhere.drain(0)])));
    return new World(shard, functions, [invocations, elsewhere], faults, crashed);
  }

  /** A world with these samples uploaded, and nothing else, on a disk that was stopped cleanly. */
  static async prepare(pool: SandboxPool, tenant: LogBookId, samples: readonly string[]): Promise<Remains> {
    const remains = noRemains();
    const starter = await ProcessStarter.open();
    const world = await World.open(pool, remains, () => null, undefined, { starter });
    for (const sample of samples) {
      await world.upload(tenant, sample.split("/").at(-1) ?? sample, sampleModule(sample));
    }
    await world.close();
    await starter.close();
    return remains;
  }

  async upload(tenant: LogBookId, name: string, module: Uint8Array, options: UploadOptions = {}): Promise<void> {
    await this.functions.upload(tenant, name, oneChunk(module), options);
  }

  call(
    request: Pick<CallRequest, "tenant" | "functionName"> & {
      input: string;
      key?: string;
      worldSize?: number;
      forbid?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<CallAnswer> {
    return this.invocations.call({
      tenant: request.tenant,
      functionName: request.functionName,
      input: Buffer.from(request.input),
      answer: "result",
      forbidPushDown: request.forbid ?? false,
      ...(request.worldSize !== undefined && { worldSize: request.worldSize }),
      ...(request.signal !== undefined && { signal: request.signal }),
      ...(request.key !== undefined && { key: { kind: "idempotency", value: request.key } }),
    });
  }

  /** All versions of an object, as text; null for a delete. */
  async versions(tenant: LogBookId, key: string): Promise<(string | null)[]> {
    const { records } = await this.shard.book(tenant).readStream(objectTag(key), 0);
    return records.map((record) => {
      const value = decodeObjectValue(record);
      return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
    });
  }

  async object(tenant: LogBookId, key: string): Promise<string | null> {
    const { record } = await this.shard.book(tenant).readCell(key, MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
  }

  async close(): Promise<void> {
    await this.invocations.drain(1000);
    await this.elsewhere.drain(1000);
    await this.shard.close();
  }
}

/** A copy, so that several worlds can begin with the same remains. */
export function copyRemains(remains: Remains): Remains {
  return { disk: remains.disk.kill(), blobs: copyOf(remains.blobs), checkpoints: remains.checkpoints.copy() };
}

function copyOf(blobs: MemoryBlobs): MemoryBlobs {
  const copy = new MemoryBlobs();
  for (const [name, bytes] of blobs.blobs) {
    copy.blobs.set(name, bytes);
  }
  return copy;
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
