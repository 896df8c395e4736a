/** The invocation layer over a real shard with a journal in memory, and guests that are functions of the test. */

import { createHash } from "node:crypto";
import { abiTable } from "../../host/abi/index.ts";
import {
  type CallAnswer,
  type CallRequest,
  createInvocations,
  type InvocationService,
  PartHost,
} from "../../host/invocation/index.ts";
import { encodeArtefact } from "../../host/modules/artefact-codec.ts";
import { FunctionRegistry, type ModuleHash, RETRY_CAUSES } from "../../host/modules/index.ts";
import { encodeFunctionData, type FunctionData } from "../../host/modules/registry-entry.ts";
import { NO_REWRITING } from "../../host/modules/rewriting/index.ts";
import { Admission, Offload, type StoragePool } from "../../host/offload/index.ts";
import { silentLog } from "../../host/telemetry/index.ts";
import type { Limits } from "../../host/tenancy/index.ts";
import { NeapError } from "../../state/errors.ts";
import { type BlobName, type InstanceId, type LogBookId, MAX_SEQNUM, type SeqNum } from "../../state/ids.ts";
import { type LogBook, type LogRecord, type Mode, RecordKind, type Shard, type ShardSource } from "../../state/logbook/index.ts";
import { readFrame, type StoredRecord } from "../../state/logbook/record-codec.ts";
import { encodeStep, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { decodeObjectValue } from "../../state/objects/index.ts";
import { encodeObjectValue } from "../../state/objects/object-record.ts";
import { type Clock, type FaultPoint, type Faults, noFaults, type Timers } from "../../state/ports.ts";
import { functionTag, objectTag, stepTag } from "../../state/tags.ts";
import { textOf } from "./call-bytes.ts";
import { noMoves } from "./no-moves.ts";
import { openTestShard, type TestShard } from "./open-shard.ts";
import { regionsOf } from "./region-memory.ts";
import { ScriptedEgress } from "./scripted-egress.ts";
import type { ScriptedFunction } from "./scripted-guest.ts";
import { ScriptedPool } from "./scripted-pool.ts";
import { systemTimers } from "./system-timers.ts";
import { testTenancy } from "./test-tenancy.ts";
import { artefactOf } from "./wasm.ts";

export const TENANT = "acme" as LogBookId;
const ARTEFACT = artefactOf(`(module (memory (export "$memory") 1) (func (export "run")))`);

export interface ScriptedHostParts {
  readonly test?: TestShard;
  readonly pool?: ScriptedPool;
  /** Parts are offered to the pool beside the data, which has so many slots; without, they run where the guest is. */
  readonly partSlots?: number;
  /** True when left out. */
  readonly runAhead?: boolean;
  /** Stands between the callers and the pool beside the data. */
  readonly storage?: (pool: StoragePool) => StoragePool;
  readonly limits?: Partial<Limits>;
  readonly objectMaxBytes?: number;
  readonly faults?: Faults;
  /** Of the host; the owner's is that of `test`. */
  readonly clock?: Clock;
  /** Real ones unless given. */
  readonly timers?: Timers;
  /** The outside, which outlives the host. */
  readonly egress?: ScriptedEgress;
}

export type ScriptedCall = Partial<Omit<CallRequest, "input" | "key">> & {
  readonly functionName: string;
  readonly input?: string | AsyncIterable<Uint8Array>;
  readonly key?: string;
  readonly callId?: number;
};

function lost(): never {
  throw new NeapError("OWNER_UNAVAILABLE", "the connection was lost");
}

/** Like an object of another node: whatever was asked of it rejects when the connection is lost, carried out or not. */
function losable<T extends object>(target: T, over: Promise<never>, withheld: ReadonlySet<string>): T {
  over.catch(() => {});
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") {
        return value;
      }
      return (...args: unknown[]): unknown => {
        const answer: unknown = value.apply(target, args);
        if (answer instanceof Promise) {
          return Promise.race(withheld.has(String(name)) ? [over] : [over, answer]);
        }
        return name === "book" ? losable(answer as object, over, withheld) : answer;
      };
    },
  });
}

/** The connection of the host with the owner: lost and found again, the owner restarted. */
class SwitchedSource implements ShardSource {
  /** Methods that are carried out and whose answers do not arrive. */
  readonly withheld = new Set<string>();
  #session: Shard | undefined;
  #waiting: ((shard: Shard) => void)[] = [];

  current(): Shard | undefined {
    return this.#session;
  }

  available(timeoutMs: number): Promise<Shard> {
    const { promise, resolve, reject } = Promise.withResolvers<Shard>();
    if (this.#session !== undefined) {
      return Promise.resolve(this.#session);
    }
    const timer = setTimeout(() => reject(new NeapError("OWNER_UNAVAILABLE", "no owner")), timeoutMs);
    this.#waiting.push((shard) => {
      clearTimeout(timer);
      resolve(shard);
    });
    return promise;
  }

  /** The session is lost; `session` is the next one. */
  async connect(session: Shard | undefined): Promise<void> {
    const before = this.#session;
    this.#session = session === undefined ? undefined : losable(session, session.ended.then(lost), this.withheld);
    await before?.close();
    if (this.#session !== undefined) {
      for (const resolve of this.#waiting.splice(0)) {
        resolve(this.#session);
      }
    }
  }

  async close(): Promise<void> {}
}

export class ScriptedHost {
  test: TestShard;
  readonly pool: ScriptedPool;
  readonly invocations: InvocationService;
  readonly source = new SwitchedSource();
  readonly functions: FunctionRegistry;
  readonly egress: ScriptedEgress;
  readonly #partSlots: number;

  private constructor(test: TestShard, parts: ScriptedHostParts) {
    this.test = test;
    this.pool = parts.pool ?? new ScriptedPool();
    this.egress = parts.egress ?? new ScriptedEgress();
    this.#partSlots = parts.partSlots ?? 0;
    const { runAhead = true } = parts;
    const tenancy = testTenancy({ wallTimeMs: 20_000, outputMaxBytes: 2 ** 20, logMaxBytes: 1024, ...parts.limits });
    const functions = new FunctionRegistry({ shards: this.source, abi: abiTable, tenancy, cacheMaxBytes: 2 ** 20 });
    this.functions = functions;
    const partHosts = new WeakMap<Shard, StoragePool>();
    const admission = new Admission({ slots: this.#partSlots, cpuThreshold: 1, memoryThreshold: 1 }, () => ({
      cpuShare: 0,
      memoryShare: 0,
    }));
    const storagePool = () => {
      const shard = this.source.current();
      if (shard === undefined || parts.partSlots === undefined) {
        return null;
      }
      const { storage = (pool) => pool } = parts;
      const options = {
        name: "storage",
        shard,
        functions,
        pool: this.pool,
        admission,
        log: silentLog,
        tenancy,
        runAhead,
      };
      const storagePool = partHosts.get(shard) ?? storage(new PartHost(options));
      partHosts.set(shard, storagePool);
      return storagePool;
    };
    const time = { clock: parts.clock ?? test.time, timers: parts.timers ?? systemTimers };
    this.invocations = createInvocations({
      source: this.source,
      functions,
      tenancy,
      pool: this.pool,
      regions: regionsOf(time, this.pool),
      moves: noMoves(),
      offload: new Offload("marked", storagePool),
      egress: this.egress,
      ...time,
      random: { bytes: (sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)) },
      log: silentLog,
      faults: parts.faults ?? noFaults,
      nodeName: "compute",
      runAhead,
      limits: {
        suspendAfterMs: 10_000,
        parkedMaxBytes: 0,
        objectMaxBytes: parts.objectMaxBytes ?? 2 ** 20,
        attemptsMax: 3,
        retry: { attemptsMax: 3, backoffMs: 50, backoffMaxMs: 1000, causes: RETRY_CAUSES },
        ownerTimeoutMs: 200,
      },
    });
  }

  static async open(parts: ScriptedHostParts = {}): Promise<ScriptedHost> {
    const host = new ScriptedHost(parts.test ?? (await openTestShard()), parts);
    await host.source.connect(host.test.shard.openSession());
    return host;
  }

  /** A host whose objects are under one protocol. */
  static async openIn(mode: Mode, parts: ScriptedHostParts = {}): Promise<ScriptedHost> {
    const host = await ScriptedHost.open(parts);
    await host.choose("", mode);
    return host;
  }

  get book(): LogBook {
    return this.test.shard.book(TENANT);
  }

  /** The session with the owner, for what it may be asked directly. */
  get session(): Shard {
    const session = this.source.current();
    if (session === undefined) {
      throw new Error("there is no session");
    }
    return session;
  }

  /** Another process over what is durable, with the same functions. The old one's guests go on in vain. */
  async crash(parts: Omit<ScriptedHostParts, "test" | "pool"> = {}): Promise<ScriptedHost> {
    const pool = new ScriptedPool();
    for (const [hash, scripted] of this.pool.scripts) {
      pool.scripts.set(hash, scripted);
    }
    const { egress } = this;
    return ScriptedHost.open({
      egress,
      ...parts,
      partSlots: parts.partSlots ?? this.#partSlots,
      test: await this.test.crash(),
      pool,
    });
  }

  /** The owner dies and another one opens what was durable; this process goes on. */
  async restartOwner(): Promise<void> {
    this.test = await this.test.crash();
    await this.source.connect(this.test.shard.openSession());
  }

  /** The connection is lost and found again; the owner goes on. */
  async reconnect(): Promise<void> {
    await this.source.connect(this.test.shard.openSession());
  }

  /** Uploads a function, or a new version of it. */
  async define(
    name: string,
    scripted: ScriptedFunction | ScriptedFunction["main"],
    {
      retry = null,
      limits = null,
      environment = null,
      protocol = null,
      regions = null,
      migratable = false,
    }: Partial<Pick<FunctionData, "retry" | "limits" | "environment" | "protocol">> & {
      regions?: "safe" | "used" | null;
      migratable?: boolean;
    } = {},
  ): Promise<void> {
    const hash = createHash("sha256").update(`${name} ${this.pool.scripts.size}`).digest("hex") as ModuleHash;
    this.pool.scripts.set(hash, typeof scripted === "function" ? { main: scripted } : scripted);
    const imports = regions === null ? [] : ["region.open"];
    const bytes = encodeArtefact({ ...ARTEFACT, hash, imports, regionSafe: regions === "safe", migratable });
    const artefact = await this.test.blobs.put(bytes, hash as string as BlobName);
    const record = {
      kind: RecordKind.function,
      tags: [functionTag(name), functionTag("")],
      data: encodeFunctionData({
        name,
        hash,
        artefact,
        original: artefact,
        retry,
        limits,
        environment,
        protocol,
        ...NO_REWRITING,
      }),
      blobs: [artefact],
    };
    await this.book.append({ records: [record] });
  }

  call({ input = "", key, callId, ...request }: ScriptedCall): Promise<CallAnswer> {
    return this.invocations.call({
      tenant: TENANT,
      answer: "result",
      forbidPushDown: false,
      input: typeof input === "string" ? Buffer.from(input) : input,
      ...(key !== undefined && { key: { kind: "idempotency", value: key } }),
      ...(callId !== undefined && { key: { kind: "callId", value: callId } }),
      ...request,
    });
  }

  /** The answer in one line: its return value and output, or its kind and why. */
  async told(request: ScriptedCall): Promise<string> {
    return tell(await this.call(request));
  }

  /** Writes an object from outside, without waiting for the disk. */
  async put(key: string, text: string): Promise<void> {
    const value = encodeObjectValue({ kind: "inline", bytes: Buffer.from(text) });
    const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, value);
    await this.book.append({ records: [{ kind: RecordKind.write, tags: [], place: key, data }] });
  }

  /** The newest value of an object, wherever it is. */
  async object(key: string): Promise<string | null> {
    const { record } = await this.book.readCell(key, MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
  }

  /** Begins to switch a scope. */
  async beginSwitch(scope: string, mode: Mode): Promise<SeqNum> {
    const begin = await this.test.shard.switchMode(TENANT, scope, mode, false);
    await this.test.shard.whenDurable(begin);
    return begin;
  }

  /** Lets switches go on, and says whether the scope's has ended. */
  async switched(scope: string): Promise<boolean> {
    for (let looks = 0; looks < 50; looks += 1) {
      await settled();
      this.test.time.advance(20);
    }
    const view = (await this.test.shard.scopes(TENANT)).find((one) => one.scope === scope);
    return view?.to === null;
  }

  /** Switches a scope to its end, with no call under way. */
  async choose(scope: string, mode: Mode): Promise<void> {
    await this.beginSwitch(scope, mode);
    if (!(await this.switched(scope))) {
      throw new Error(`the switch of ${scope} to ${mode} does not end`);
    }
  }

  /** All records of the journal, oldest first. */
  async records(): Promise<readonly StoredRecord[]> {
    await this.test.shard.whenDurable(await this.book.tail());
    const records: StoredRecord[] = [];
    for (const { payload } of this.test.journal.frames()) {
      readFrame(payload, (record) => records.push(record));
    }
    return records;
  }

  /** All versions of an object, as text; null for a delete. */
  async versions(key: string): Promise<(string | null)[]> {
    const { records } = await this.book.readStream(objectTag(key), 0);
    return records.map((record) => {
      const value = decodeObjectValue(record);
      return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
    });
  }

  /** Another host finishes the one unfinished call, which this one still runs, and it is collected. @returns that host, to be closed */
  async finishElsewhere(): Promise<ScriptedHost> {
    const [unfinished] = await this.test.shard.unfinished(TENANT);
    const peer = await ScriptedHost.open({ test: this.test, pool: this.pool });
    await this.session.release(TENANT, unfinished?.instance as InstanceId);
    peer.invocations.startRecovery(10_000);
    while ((await this.test.shard.unfinished(TENANT)).length > 0) {
      await settled();
    }
    await this.put("x", "1");
    await this.put("x", "2");
    await this.test.shard.collect();
    return peer;
  }

  async steps(instance: InstanceId): Promise<readonly LogRecord[]> {
    return (await this.book.readStream(stepTag(instance), 0)).records;
  }
}

export function tell(answer: CallAnswer): string {
  switch (answer.kind) {
    case "completed": {
      const { returnValue, output, trap } = answer.result;
      return trap === undefined ? `${returnValue} ${textOf(output)}` : `trap ${trap}`;
    }
    case "accepted":
      return "accepted";
    case "pending":
      return answer.parked ? `parked: ${answer.reason}` : `pending: ${answer.reason}`;
    case "failed":
      return `failed: ${answer.code}`;
  }
}

/** Runs everything that waits for nothing but promises and immediate callbacks. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Faults that do something at the n-th time a point is passed. */
export function atPoint(wanted: FaultPoint, action: () => void, nth = 1): Faults {
  let passed = 0;
  return {
    at(point) {
      passed += point === wanted ? 1 : 0;
      if (point === wanted && passed === nth) {
        action();
      }
    },
  };
}
