/** A guest that is a function of the test, with what a module would ask the host for as methods. */

import {
  logAppendArgs,
  logAppendReply,
  logReadArgs,
  logReadReply,
  logTailArgs,
  logTailReply,
  logTrimArgs,
} from "../../host/abi/log-messages.ts";
import {
  beginArgs,
  callAwaitArgs,
  callAwaitReply,
  callCancelArgs,
  callOutputArgs,
  callSelectArgs,
  callSpawnArgs,
  callStartArgs,
  GuestError,
  httpReadArgs,
  httpReadReply,
  httpRequestArgs,
  lockArgs,
  lockReply,
  Operation,
  objectDeleteArgs,
  objectListArgs,
  objectListReply,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
  Placement,
  partAnswer,
  partOfferArgs,
  sleepArgs,
} from "../../host/abi/operations.ts";
import { guestStateBytes } from "../../host/sandbox/frames/protocol.ts";
import type {
  KillReason,
  OperationReply,
  SandboxCall,
  SandboxEnd,
  SandboxHandler,
  SandboxStart,
} from "../../host/sandbox/index.ts";
import { ISOLATIONS, type Isolation } from "../../state/txn/index.ts";

type LogCondition = Parameters<typeof logAppendArgs.encode>[0]["when"][number];

/** What a guest's `main` does; the number is its return value. */
export type Script = (guest: ScriptedGuest) => Promise<number | undefined>;

export interface ScriptedFunction {
  readonly main: Script;
  /** Storage parts by table index. */
  readonly parts?: readonly Script[];
}

const EMPTY = new Uint8Array(0);

class Trap extends Error {}

export class ScriptedGuest implements SandboxCall {
  input = "";
  /** Of the sandbox that it is in. */
  start: SandboxStart;
  /** The guest's memory: what travels with a storage part. */
  memory = new Map<string, string>();
  readonly #scripted: ScriptedFunction;
  readonly #name: string;
  #handler: SandboxHandler;
  readonly #onEnd: (name: string | null) => void;
  #output = "";
  #timeMs: number;
  #ended = false;
  /** What it waits for. */
  #asked: { readonly operation: number; readonly args: Uint8Array; readonly answer: (reply: OperationReply) => void } | undefined;
  #freezes = false;
  #handles = 0;
  /** Once it has ended it can still write to memory regions, until `go`. */
  lingers = false;
  /** What its sandbox says that it has taken. */
  cpuMs = 1;

  /** @param onEnd  told the name by which the guest goes on, if it was stopped in the middle */
  constructor(
    name: string,
    scripted: ScriptedFunction,
    start: SandboxStart,
    handler: SandboxHandler,
    onEnd: (name: string | null) => void,
  ) {
    this.#name = name;
    this.#scripted = scripted;
    this.start = start;
    this.#handler = handler;
    this.#onEnd = onEnd;
    this.#timeMs = start.pins.timeMs;
  }

  // What a test does to the guest

  begin(): void {
    const { frozen, input } = this.start;
    const enter = (bytes: Uint8Array) => {
      this.input = Buffer.from(bytes).toString();
      void (frozen === undefined ? this.#run() : this.#goOn(frozen.answer));
    };
    if (input instanceof Uint8Array) {
      this.input = Buffer.from(input).toString();
      queueMicrotask(() => enter(input));
    } else {
      void input.read().then(enter, () => this.kill("workerLost"));
    }
  }

  /** It goes on in another sandbox, where it was: once, as its script's stack cannot be copied. */
  moveTo(start: SandboxStart, handler: SandboxHandler): void {
    this.start = start;
    this.#handler = handler;
    this.#ended = false;
  }

  kill(reason: KillReason): void {
    this.#end({ kind: "killed", reason, message: `killed by the test: ${reason}`, cpuMs: this.cpuMs });
  }

  displace(): void {
    this.#end({ kind: "displaced", cpuMs: this.cpuMs });
  }

  /** After its end: it can do nothing more. */
  go(): void {
    this.#handler.onGone?.();
  }

  // SandboxCall

  reply(reply: OperationReply): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.answer(reply);
  }

  acknowledge(): void {}

  cancel(): void {
    this.kill("cancelled");
  }

  /** Where it waits for an operation, or before its next one. */
  freeze(): void {
    this.#freezes = this.start.mayFreeze === true;
    queueMicrotask(() => this.#freeze(true));
  }

  // What a script does

  /** The guest's clock in ms (F35). */
  now(): number {
    return this.#timeMs;
  }

  output(text: string): void {
    this.#output += text;
  }

  trap(message: string): never {
    throw new Trap(message);
  }

  async read(key: string): Promise<{ text: string | null; version: number }> {
    return this.#read(Operation.objectRead, key);
  }

  async get(key: string): Promise<string | null> {
    return (await this.read(key)).text;
  }

  /** A piece of an object, as text. */
  async slice(key: string, offset: number, maxBytes: number): Promise<string> {
    const { bytes } = await this.request(Operation.objectRead, objectReadArgs.encode({ key, offset, maxBytes }));
    return Buffer.from(objectReadReply.decode(bytes).slice).toString();
  }

  readForUpdate(key: string): Promise<{ text: string | null; version: number }> {
    return this.#read(Operation.objectReadForUpdate, key);
  }

  put(key: string, text: string): void {
    this.#post(Operation.objectWrite, objectWriteArgs.encode({ key, staged: false, value: Buffer.from(text) }));
  }

  /** Writes what was staged. */
  async putStaged(key: string): Promise<void> {
    await this.request(Operation.objectWrite, objectWriteArgs.encode({ key, staged: true, value: EMPTY }));
  }

  delete(key: string): void {
    this.#post(Operation.objectDelete, objectDeleteArgs.encode(key));
  }

  /** Whether it was applied. */
  async compareAndSet(key: string, version: number, text: string): Promise<boolean> {
    const args = objectUpdateArgs.encode({ key, version, staged: false, value: Buffer.from(text) });
    return (await this.request(Operation.objectUpdate, args)).code === 1;
  }

  async update(key: string, change: (old: string | null) => string): Promise<string> {
    for (;;) {
      const { text, version } = await this.readForUpdate(key);
      const changed = change(text);
      if (await this.compareAndSet(key, version, changed)) {
        return changed;
      }
    }
  }

  async list(prefix: string): Promise<string[]> {
    const { bytes } = await this.request(Operation.objectList, objectListArgs.encode({ prefix, after: "", limit: 100 }));
    return objectListReply.decode(bytes).map(({ key }) => key);
  }

  async stage(bytes: Uint8Array): Promise<number> {
    return (await this.request(Operation.stageChunk, bytes)).code;
  }

  callStart(functionName: string, input: string): number {
    this.#post(Operation.callStart, callStartArgs.encode({ functionName, input: Buffer.from(input) }));
    this.#handles += 1;
    return this.#handles - 1;
  }

  /** Started bound to this call (F40). */
  callStartBound(functionName: string, input = ""): number {
    this.#post(Operation.callStartBound, callStartArgs.encode({ functionName, input: Buffer.from(input) }));
    this.#handles += 1;
    return this.#handles - 1;
  }

  /** The id of the call, or a code below 0. */
  async spawn(functionName: string, input = "", delayMs = 0): Promise<string | number> {
    const args = callSpawnArgs.encode({ functionName, delayMs, input: Buffer.from(input) });
    const { code, bytes } = await this.request(Operation.callSpawn, args);
    return code < 0 ? code : Buffer.from(bytes).toString();
  }

  async select(...handles: number[]): Promise<number> {
    return (await this.request(Operation.callSelect, callSelectArgs.encode(handles))).code;
  }

  async cancelCall(handle: number): Promise<number> {
    return (await this.request(Operation.callCancel, callCancelArgs.encode(handle))).code;
  }

  async callAwait(handle: number): Promise<{ returnValue: number; text: string }> {
    const { code, bytes } = await this.request(Operation.callAwait, callAwaitArgs.encode(handle));
    if (code < 0) {
      return { returnValue: code, text: "" };
    }
    const { returnValue, sizeBytes, slice } = callAwaitReply.decode(bytes);
    const slices = [slice];
    for (let offset = slice.byteLength; offset < sizeBytes; offset += slices.at(-1)?.byteLength ?? 0) {
      slices.push((await this.request(Operation.callOutput, callOutputArgs.encode({ handle, offset }))).bytes);
    }
    return { returnValue, text: Buffer.concat(slices).toString() };
  }

  call(functionName: string, input = ""): Promise<{ returnValue: number; text: string }> {
    return this.callAwait(this.callStart(functionName, input));
  }

  async sleep(durationMs: number): Promise<void> {
    await this.request(Operation.sleep, sleepArgs.encode(durationMs));
  }

  /** Appends to streams of the log; what came of it in one line. */
  async append(tags: string, text: string, when: readonly LogCondition[] = [], closes = false): Promise<string> {
    const args = logAppendArgs.encode({ tags: tags.split(" "), when, closes, bytes: Buffer.from(text) });
    const { code, bytes } = await this.request(Operation.logAppend, args);
    const { seqnum, length, index } = logAppendReply.decode(bytes);
    const winner = async () => (seqnum === 0 ? "gone" : this.logPrev(tags.split(" ")[0] ?? "", seqnum));
    switch (code) {
      case GuestError.conflict:
        return `conflict ${index} ${await winner()}`;
      case GuestError.closed:
        return `closed ${index} ${await winner()}`;
      case GuestError.gap:
        return `gap ${index} ${length}`;
      default:
        return `appended ${seqnum}`;
    }
  }

  post(tag: string, text: string): void {
    this.#post(Operation.logAppend, logAppendArgs.encode({ tags: [tag], when: [], closes: false, bytes: Buffer.from(text) }));
  }

  trim(tag: string, upTo: number): void {
    this.#post(Operation.logTrim, logTrimArgs.encode({ tag, upTo }));
  }

  logPrev(tag: string, max: number): Promise<string> {
    return this.#readLog(Operation.logReadPrev, tag, max, 0);
  }

  logNext(tag: string, min: number): Promise<string> {
    return this.#readLog(Operation.logReadNext, tag, min, 0);
  }

  logAwait(tag: string, min: number, timeoutMs: number): Promise<string> {
    return this.#readLog(Operation.logAwaitNext, tag, min, timeoutMs);
  }

  async logTail(tag: string): Promise<{ length: number; last: number; goneUpTo: number; closed: boolean }> {
    return logTailReply.decode((await this.request(Operation.logTail, logTailArgs.encode(tag))).bytes);
  }

  /** "<seqnum> <text>", "none", or "trimmed <seqnum>". */
  async #readLog(operation: Operation, tag: string, seqnum: number, timeoutMs: number): Promise<string> {
    const { code, bytes } = await this.request(operation, logReadArgs.encode({ tag, seqnum, timeoutMs }));
    if (code === GuestError.notFound) {
      return "none";
    }
    const found = logReadReply.decode(bytes);
    return code === GuestError.trimmed ? `trimmed ${found.seqnum}` : `${found.seqnum} ${Buffer.from(found.bytes)}`;
  }

  sync(): void {
    this.#post(Operation.sync, EMPTY);
  }

  fence(): void {
    this.#post(Operation.fence, EMPTY);
  }

  /** The code of the answer. */
  async transaction(isolation: Isolation = "serializable"): Promise<number> {
    return (await this.request(Operation.transactionBegin, beginArgs.encode(ISOLATIONS.indexOf(isolation) & 0xff))).code;
  }

  /** "committed", what conflicted, or the code of the answer and what came with it. */
  async commit(): Promise<string> {
    const { code, bytes } = await this.request(Operation.transactionCommit, EMPTY);
    return code === 1
      ? "committed"
      : code === GuestError.conflict
        ? Buffer.from(bytes).toString()
        : `${code} ${Buffer.from(bytes)}`.trim();
  }

  async abort(): Promise<number> {
    return (await this.request(Operation.transactionAbort, EMPTY)).code;
  }

  /** The token, or the code of the answer. */
  lock(name: string): Promise<number> {
    return this.#lock(Operation.lock, name);
  }

  /** The token, 0 when another call holds it, or the code of the answer. */
  tryLock(name: string): Promise<number> {
    return this.#lock(Operation.lockTry, name);
  }

  /** The code of the answer. */
  async unlock(name: string): Promise<number> {
    return (await this.request(Operation.unlock, lockArgs.encode(name))).code;
  }

  async #lock(operation: Operation, name: string): Promise<number> {
    const { code, bytes } = await this.request(operation, lockArgs.encode(name));
    return code < 0 ? code : lockReply.decode(bytes).token;
  }

  /** The answer to an operation. */
  ask(operation: Operation, args: Uint8Array): Promise<{ code: number; timeMs: number; bytes: Uint8Array }> {
    return this.request(operation, args);
  }

  /** "<status> <body>" of the answer, "<code> <why>" without one, or the code of a refusal. */
  async http(method: string, url: string, { headers = "", body = "", once = false } = {}): Promise<string> {
    const args = httpRequestArgs.encode({ method, url, headers, once, body: Buffer.from(body) });
    const { code } = await this.request(Operation.httpRequest, args);
    if (code < 0 && code !== GuestError.noAnswer) {
      return `${code}`;
    }
    return `${code < 0 ? await this.httpPart(0) : code} ${await this.httpPart(1)}`;
  }

  /** The code of reading what the last request got. */
  async httpCode(part: number): Promise<number> {
    return (await this.request(Operation.httpRead, httpReadArgs.encode({ part, offset: 0 }))).code;
  }

  /** What the last request got: 0 the head, 1 the body. */
  async httpPart(part: number): Promise<string> {
    const slices: Uint8Array[] = [];
    for (let offset = 0; ; offset += slices.at(-1)?.byteLength ?? 0) {
      const { bytes } = await this.request(Operation.httpRead, httpReadArgs.encode({ part, offset }));
      const { sizeBytes, slice } = httpReadReply.decode(bytes);
      slices.push(slice);
      if (offset + slice.byteLength >= sizeBytes) {
        return Buffer.concat(slices).toString();
      }
    }
  }

  /** A storage part, as host/abi runs it. */
  async part(key: string, tableIndex: number): Promise<number> {
    const offer = await this.request(Operation.partOffer, partOfferArgs.encode({ key, tableIndex, usesSideModules: false }));
    if (offer.code === Placement.ship) {
      const reply = await this.request(Operation.partShip, guestStateBytes.encode(this.#state()));
      const answer = partAnswer.decode(reply);
      if (answer.kind === "trapped") {
        throw new Trap(answer.message);
      }
      if (answer.kind === "done") {
        this.#restore(answer.state);
        return answer.value;
      }
    }
    const value = await this.#partScript(tableIndex);
    this.#post(Operation.partEnd, EMPTY);
    return value;
  }

  async #run(): Promise<void> {
    if (this.#ended) {
      return;
    }
    const { part } = this.start;
    try {
      if (part === undefined) {
        const value = (await this.#scripted.main(this)) ?? 0;
        this.#end({ kind: "returned", value, output: Buffer.from(this.#output), cpuMs: this.cpuMs });
      } else {
        this.#restore(part.state);
        const value = await this.#partScript(part.tableIndex);
        this.#end({ kind: "returned", value, output: EMPTY, cpuMs: this.cpuMs, state: this.#state() });
      }
    } catch (error) {
      if (!(error instanceof Trap)) {
        throw error;
      }
      this.#end({ kind: "trapped", message: error.message, cpuMs: this.cpuMs });
    }
  }

  async #partScript(tableIndex: number): Promise<number> {
    const script = this.#scripted.parts?.[tableIndex];
    return script === undefined ? this.trap(`no part ${tableIndex}`) : ((await script(this)) ?? 0);
  }

  async #read(operation: Operation, key: string): Promise<{ text: string | null; version: number }> {
    const { code, bytes } = await this.request(operation, objectReadArgs.encode({ key, offset: 0, maxBytes: 2 ** 20 }));
    if (code === GuestError.tooLarge) {
      return { text: "too large", version: 0 };
    }
    const { version, slice } = objectReadReply.decode(bytes);
    return { text: code === GuestError.notFound ? null : Buffer.from(slice).toString(), version };
  }

  /** Any operation, as imports ask it. */
  request(operation: number, args: Uint8Array): Promise<OperationReply> {
    const { promise, resolve } = Promise.withResolvers<OperationReply>();
    if (!this.#ended) {
      const answer = (reply: OperationReply) => {
        this.#timeMs = Math.max(this.#timeMs, reply.timeMs);
        resolve(reply);
      };
      this.#asked = { operation, args, answer };
      if (!this.#freeze(false)) {
        this.#handler.onOperation(operation, args, true);
      }
    }
    return promise;
  }

  /** @param awaits  its operation is under way */
  #freeze(awaits: boolean): boolean {
    if (!this.#freezes || this.#asked === undefined || this.#ended) {
      return false;
    }
    const { cpuMs } = this;
    this.#freezes = false;
    this.#end({ kind: "frozen", bytes: Buffer.from(this.#name), awaits, cpuMs });
    return true;
  }

  #goOn(answer: OperationReply | undefined): void {
    if (answer !== undefined) {
      this.reply(answer);
    } else if (this.#asked !== undefined && !this.#ended) {
      const { operation, args } = this.#asked;
      this.#handler.onOperation(operation, args, true);
    }
  }

  #post(operation: Operation, args: Uint8Array): void {
    if (!this.#ended) {
      this.#handler.onOperation(operation, args, false);
    }
  }

  #state(): { delta: Uint8Array; hostState: Uint8Array } {
    return { delta: Buffer.from(JSON.stringify([...this.memory])), hostState: Buffer.from(`${this.#timeMs}`) };
  }

  #restore({ delta, hostState }: { delta: Uint8Array; hostState: Uint8Array }): void {
    this.memory = new Map(JSON.parse(Buffer.from(delta).toString()));
    this.#timeMs = Number(Buffer.from(hostState).toString());
  }

  #end(end: SandboxEnd): void {
    if (!this.#ended) {
      this.#ended = true;
      const isFrozen = end.kind === "frozen";
      this.#asked = isFrozen ? this.#asked : undefined;
      this.#onEnd(isFrozen ? this.#name : null);
      this.#handler.onEnd(end);
      if (!this.lingers) {
        this.go();
      }
    }
  }
}
