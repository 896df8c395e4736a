/** Small in-memory stand-ins for what the HTTP routes call, with the behaviour their contracts promise. */

import type { Objects, Protocols, StoredObject } from "../../host/http/index.ts";
import type {
  BrokenLock,
  CallAnswer,
  CallDescription,
  CallGraphNode,
  CallInput,
  CallRequest,
  CallResult,
  CallStatus,
  CallTrace,
  Invocations,
  LockBreaker,
  TimelineEntry,
} from "../../host/invocation/invocation.ts";
import type { ModuleHash } from "../../host/modules/artefact.ts";
import type { FunctionOptions, Functions, FunctionVersion, UploadOptions } from "../../host/modules/functions.ts";
import { NO_REWRITING } from "../../host/modules/rewriting/index.ts";
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, type SeqNum, seqNum } from "../../state/ids.ts";
import type { HeldLock, Mode, ScopeView } from "../../state/logbook/index.ts";

/** A request whose input has been read. */
export type FakeRequest = CallRequest & { readonly input: Uint8Array };

/** What a fake function does with a request: its result, or any other answer. */
export type FakeFunction = (
  request: FakeRequest,
  instance: InstanceId,
) => Partial<CallResult> | CallAnswer | Promise<Partial<CallResult> | CallAnswer>;

const FAKE_CPU_MS = 0.25;
export const FAKE_TRACE: CallTrace = { executedAt: ["node-1"], parts: [], moves: [], movedBytes: 0, cpuMs: FAKE_CPU_MS };

interface FakeCall {
  readonly description: CallDescription;
  readonly request: FakeRequest;
  status: CallStatus;
}

/** Runs functions that are TypeScript; keeps the calls that have an id, a key or are asynchronous. */
export class FakeInvocations implements Invocations {
  readonly heldLocks: HeldLock[] = [];
  readonly broken: BrokenLock[] = [];
  readonly functions = new Map<string, FakeFunction>();
  readonly calls: FakeRequest[] = [];
  /** Sizes of the chunks in which streamed inputs came. */
  readonly chunkSizes: number[] = [];
  readonly parked = new Set<InstanceId>();
  readonly graphs = new Map<number, CallGraphNode>();
  readonly #kept: FakeCall[] = [];
  #minted = 0;

  async call(asked: CallRequest): Promise<CallAnswer> {
    const run = this.functions.get(asked.functionName);
    if (run === undefined) {
      throw new NeapError("UNKNOWN_FUNCTION", `${asked.tenant} has no function ${asked.functionName}`);
    }
    const request: FakeRequest = { ...asked, input: await this.#read(asked.input) };
    this.calls.push(request);
    const known = request.key && this.#kept.find((call) => sameKey(call.request, request));
    if (known !== undefined) {
      return replay(known, request);
    }
    this.#minted += 1;
    const instance = `1-instance${this.#minted}` as InstanceId;
    const callId = request.key?.kind === "callId" ? request.key.value : 1000 + this.#minted;
    const { tenant, functionName, input } = request;
    const description = {
      instance,
      tenant,
      functionName,
      tableIndex: request.tableIndex ?? null,
      callId,
      input,
      startedMs: 1_700_000_000_000,
      notBeforeMs: request.delayMs ? 1_700_000_000_000 + request.delayMs : null,
      finishedMs: null,
      cpuMs: null,
    };
    const call: FakeCall = { description, request, status: { kind: "running", call: description } };
    this.#kept.push(call);
    const finished = Promise.resolve(run(request, instance)).then((made) => this.#finish(call, made));
    if (request.answer === "accepted") {
      return { kind: "accepted", instance, callId };
    }
    return await finished;
  }

  async status(callId: number, tenant: LogBookId | undefined): Promise<CallStatus> {
    const found = this.#kept.filter(
      ({ description }) => description.callId === callId && (tenant === undefined || description.tenant === tenant),
    );
    return found.length === 1 && found[0] !== undefined ? found[0].status : { kind: "unknown" };
  }

  async statusOfInstance(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    const found = this.#kept.find(({ description }) => description.instance === instance && description.tenant === tenant);
    return found?.status ?? { kind: "unknown" };
  }

  async timeline(instance: InstanceId): Promise<readonly TimelineEntry[]> {
    const found = this.#kept.find(({ description }) => description.instance === instance);
    const timeMs = found?.description.startedMs ?? 0;
    return found === undefined ? [] : [{ position: 0, kind: "init", seqnum: seqNum(1), timeMs, tags: [] }];
  }

  async graph(callId: number): Promise<CallGraphNode | null> {
    return this.graphs.get(callId) ?? null;
  }

  async unfinished() {
    return Array.from(this.parked, (instance) => ({ instance, attempts: 3, parked: true }));
  }

  async resume(instance: InstanceId): Promise<void> {
    if (!this.parked.delete(instance)) {
      throw new NeapError("NOT_PARKED", `instance ${instance} is running`);
    }
  }

  async #read(input: CallInput): Promise<Uint8Array> {
    if (input instanceof Uint8Array) {
      return input;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of input) {
      this.chunkSizes.push(chunk.byteLength);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async cancel(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    const found = this.#kept.find(({ description }) => description.instance === instance && description.tenant === tenant);
    if (found === undefined) {
      throw new NeapError("UNKNOWN_INSTANCE", `no instance has the id ${instance}`);
    }
    if (found.status.kind !== "completed") {
      const result: CallResult = { returnValue: 1, output: new Uint8Array(0), trap: "cancelled", cancelled: true };
      found.status = { kind: "completed", call: { ...found.description, finishedMs: 1_700_000_000_007 }, result };
    }
    return found.status;
  }

  async locks(): Promise<readonly HeldLock[]> {
    return this.heldLocks;
  }

  async brokenLocks(): Promise<readonly BrokenLock[]> {
    return this.broken;
  }

  async breakLock(name: string, _tenant: LogBookId, by: LockBreaker): Promise<void> {
    const index = this.heldLocks.findIndex((lock) => lock.name === name);
    if (index < 0) {
      throw new NeapError("UNKNOWN_LOCK", `nobody holds a lock ${JSON.stringify(name)}`);
    }
    for (const { holder, root, token } of this.heldLocks.splice(index, 1)) {
      this.broken.unshift({ name, holder, root, token, by, brokenMs: 9, seqnum: seqNum(10) });
    }
  }

  #finish(call: FakeCall, made: Partial<CallResult> | CallAnswer): CallAnswer {
    if ("kind" in made) {
      if (made.kind === "pending" && made.parked) {
        call.status = { kind: "parked", call: call.description, reason: made.reason };
      }
      return made;
    }
    const result: CallResult = { returnValue: 0, output: new Uint8Array(0), ...made };
    call.status = { kind: "completed", call: { ...call.description, finishedMs: 1_700_000_000_005, cpuMs: FAKE_CPU_MS }, result };
    return { kind: "completed", instance: call.description.instance, result, trace: FAKE_TRACE };
  }
}

function sameKey(a: FakeRequest, b: FakeRequest): boolean {
  return (
    a.tenant === b.tenant &&
    a.key?.kind === b.key?.kind &&
    a.key?.value === b.key?.value &&
    (b.key?.kind === "callId" || a.functionName === b.functionName)
  );
}

function replay(known: FakeCall, request: FakeRequest): CallAnswer {
  const callId = known.description.callId ?? 0;
  if (known.request.functionName !== request.functionName || !Buffer.from(known.request.input).equals(request.input)) {
    throw request.key?.kind === "callId"
      ? new NeapError("CALL_ID_TAKEN", `id ${callId} was used for another call`)
      : new NeapError("IDEMPOTENCY_MISMATCH", "the key was used for another input");
  }
  const { instance } = known.description;
  if (request.answer === "accepted") {
    return { kind: "accepted", instance, callId };
  }
  return known.status.kind === "completed"
    ? { kind: "completed", instance, result: known.status.result, trace: { ...FAKE_TRACE, executedAt: ["stored"] } }
    : { kind: "pending", instance, cpuMs: null, parked: false, reason: "still running" };
}

/** Keeps modules as they come; refuses bytes that do not begin as a module does. */
export class FakeFunctions implements Functions {
  readonly modules = new Map<string, Uint8Array>();
  readonly options = new Map<string, FunctionOptions>();

  async upload(
    tenant: LogBookId,
    name: string,
    body: AsyncIterable<Uint8Array>,
    options: UploadOptions = {},
  ): Promise<FunctionVersion> {
    const bytes = await collect(body);
    if (!bytes.subarray(0, 4).equals(Buffer.from("\0asm"))) {
      throw new NeapError("MODULE_INVALID", "the module does not begin with \\0asm, at offset 0");
    }
    this.modules.set(`${tenant}/${name}`, bytes);
    return { ...version(name, bytes), ...options };
  }

  async setOptions(tenant: LogBookId, name: string, options: FunctionOptions): Promise<FunctionVersion> {
    const bytes = await this.download(tenant, name);
    this.options.set(`${tenant}/${name}`, options);
    return { ...version(name, bytes), ...options };
  }

  async resolve(): Promise<never> {
    throw new Error("not used by the routes");
  }

  async download(tenant: LogBookId, name: string): Promise<Uint8Array> {
    const module = this.modules.get(`${tenant}/${name}`);
    if (module === undefined) {
      throw new NeapError("UNKNOWN_FUNCTION", `${tenant} has no function ${name}`);
    }
    return module;
  }

  async list(tenant: LogBookId): Promise<readonly FunctionVersion[]> {
    return Array.from(this.modules)
      .filter(([name]) => name.startsWith(`${tenant}/`))
      .map(([name, bytes]) => version(name.slice(tenant.length + 1), bytes));
  }

  async artefact(): Promise<never> {
    throw new Error("not used by the routes");
  }

  async current(): Promise<never> {
    throw new Error("not used by the routes");
  }

  async sideModule(): Promise<never> {
    throw new Error("not used by the routes");
  }
}

function version(name: string, bytes: Uint8Array): FunctionVersion {
  const hash = "0".repeat(64) as ModuleHash;
  return {
    name,
    hash,
    sizeBytes: bytes.byteLength,
    uploadedMs: 1_700_000_000_000,
    seqnum: seqNum(1),
    retry: null,
    limits: null,
    environment: null,
    protocol: null,
    ...NO_REWRITING,
  };
}

/** Keeps the choices that were made; a switch never ends. */
export class FakeProtocols implements Protocols {
  readonly byScope = new Map<string, ScopeView>();
  defaultMode: Mode = "halfmoon-read";

  async scopes() {
    return { defaultMode: this.defaultMode, scopes: [...this.byScope.values()] };
  }

  async choose(_tenant: LogBookId, scope: string, choice: Mode | "automatic"): Promise<ScopeView> {
    if (this.byScope.has(scope)) {
      throw new NeapError("SWITCH_UNDER_WAY", `scope ${scope} is being switched`);
    }
    const automatic = choice === "automatic";
    const to = automatic ? this.defaultMode : choice;
    const view = { scope, mode: null, to, automatic, begin: seqNum(7), waitingFor: 2, decision: null, reads: 3, writes: 4 };
    this.byScope.set(scope, view);
    return view;
  }

  async chooseDefault(_tenant: LogBookId, mode: Mode): Promise<void> {
    this.defaultMode = mode;
  }
}

/** Keeps objects in memory, whole; those larger than `keepMaxBytes` only by their size. */
export class FakeObjects implements Objects {
  readonly values = new Map<string, Buffer>();
  /** Sizes of all bodies that ended well. */
  readonly putSizes: number[] = [];
  readonly keepMaxBytes = 1024 * 1024;
  #seqnum = 0;

  async put(tenant: LogBookId, key: string, body: AsyncIterable<Uint8Array>, maxBytes: number) {
    const kept: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) {
        throw new NeapError("OBJECT_TOO_LARGE", `the object is larger than ${maxBytes} bytes`);
      }
      if (sizeBytes <= this.keepMaxBytes) {
        kept.push(chunk);
      }
    }
    this.#seqnum += 1;
    this.putSizes.push(sizeBytes);
    this.values.set(`${tenant}/${key}`, Buffer.concat(kept));
    return { sizeBytes, seqnum: seqNum(this.#seqnum) as SeqNum };
  }

  async get(tenant: LogBookId, key: string): Promise<StoredObject | null> {
    const value = this.values.get(`${tenant}/${key}`);
    return value === undefined ? null : { sizeBytes: value.length, stream: inChunks(value) };
  }

  async remove(tenant: LogBookId, key: string): Promise<boolean> {
    return this.values.delete(`${tenant}/${key}`);
  }

  async list(tenant: LogBookId, prefix: string, after: string, limit: number) {
    return Array.from(this.values, ([name, value]) => ({ name, value }))
      .filter(({ name }) => name.startsWith(`${tenant}/${prefix}`))
      .map(({ name, value }) => ({
        key: name.slice(tenant.length + 1),
        sizeBytes: value.length,
        seqnum: seqNum(1),
        home: "versions" as const,
      }))
      .filter(({ key }) => key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .slice(0, limit);
  }
}

async function* inChunks(value: Buffer): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < value.length; offset += 64 * 1024) {
    yield value.subarray(offset, offset + 64 * 1024);
  }
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
