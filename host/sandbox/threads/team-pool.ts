/**
 * Runs calls of modules whose memory is shared: each has a worker to itself, and one for each thread that it starts.
 *
 * Owns: attempts from `start` to `onEnd`, which workers are whose. Does not own: what operations mean, the workers (TeamWorkers).
 *
 * 1. Every attempt ends exactly once (`Attempt`).
 * 2. A worker serves one call at a time: what blocks or loops there keeps no other call waiting.
 * 3. Room for all threads that a call may have is taken when it begins: out of its tenant's, and out of this pool's; of what its function
 *    may have it takes one sandbox. Beyond that one nested call for each depth begins, and a deeper one only: callers cannot keep out
 *    what they wait for. So for ranks of a world: the first takes the room for all.
 * 4. The call ends with its main thread, or with the first thread that traps, exits, or is lost. Workers in which a thread of it still
 *    runs then end, at once and with nothing asked of the guest; what they say is heard no more (H6).
 */
import type { MessagePort } from "node:worker_threads";
import type { Clock } from "../../../state/ports.ts";
import { type Artefact, WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { cpuTimeText } from "../executor/guest-call.ts";
import type { Carrier, CarrierEnd } from "../frames/carrier.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";
import { Attempt } from "../pool/attempt.ts";
import { DepthQueues } from "../pool/attempt-queue.ts";
import { AttemptTable } from "../pool/attempt-table.ts";
import { Blame } from "../pool/blame.ts";
import { wrongIn } from "../pool/distrust.ts";
import { IdleWorkers } from "../pool/idle-workers.ts";
import type { MemoryBudget } from "../pool/memory-budget.ts";
import { ModuleCache } from "../pool/module-cache.ts";
import { bytesOf, decodeEnd, displaced, lost, refusedFor } from "../pool/sandbox-end.ts";
import { SandboxGates } from "../pool/sandbox-gates.ts";
import type { SandboxWorker } from "../pool/sandbox-worker.ts";
import { SuspectList } from "../pool/suspect-list.ts";
import type { CallPool, KillReason, SandboxCall, SandboxEnd, SandboxHandler, SandboxLoad, SandboxStart } from "../sandbox.ts";
import { TeamCall } from "./team-call.ts";
import { TeamWorkers } from "./team-workers.ts";

export interface TeamPoolOptions {
  readonly clock: Clock;
  /** See `TeamWorkersOptions`. */
  readonly startCarrier: (sandboxesMax: number) => Carrier;
  /** As that of `WorkerPoolOptions`. */
  readonly compiles: boolean;
  readonly blame?: Blame;
  /** Threads of all calls together. */
  readonly threadsMax: number;
  readonly queueMax: number;
  readonly modulesMaxBytes: number;
  readonly memory: MemoryBudget;
}

const LOOK_EVERY_MS = 10;

export class TeamPool implements CallPool {
  readonly #options: TeamPoolOptions;
  readonly #table = new AttemptTable();
  readonly #gates = new SandboxGates();
  readonly #modules: ModuleCache;
  readonly #workers: TeamWorkers;
  readonly #blame: Blame;
  /** By each of their workers, also those that are about to say that their thread has ended with the call. */
  readonly #callOf = new Map<SandboxWorker, TeamCall>();
  readonly #calls = new Map<Attempt, TeamCall>();
  readonly #waiting = new DepthQueues();
  /** Began although there was no room for their threads, each deeper than the one before. */
  readonly #beyond: TeamCall[] = [];
  readonly #idle = new IdleWorkers(() => this.#workers.all());
  readonly #leaveMemory: () => void;
  #threads = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: TeamPoolOptions) {
    this.#options = options;
    const { clock, startCarrier } = options;
    this.#blame = options.blame ?? new Blame(new SuspectList(clock));
    this.#workers = new TeamWorkers({
      ...{ clock, startCarrier },
      onFrame: (worker, frame) => this.#hear(worker, frame),
      onExit: (worker, end) => this.#lost(worker, end),
    });
    this.#modules = new ModuleCache(options.modulesMaxBytes, options.compiles, (entry) => {
      for (const worker of this.#workers.all()) {
        worker.unload(entry);
      }
    });
    this.#leaveMemory = options.memory.join(this.#idle);
  }

  get load(): SandboxLoad {
    let idle = 0;
    for (const { marks } of this.#workers.all()) {
      idle += marks.idleSandboxes;
    }
    const active = this.#calls.size;
    // Its workers wait for each other, and are no room for other calls: neither those that lie ready nor those that run.
    return { workers: 0, active, computing: 0, queued: this.#table.size - active, idle };
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const module = this.#modules.get(start.artefact);
    module.users += 1;
    const deadlineMs = this.#options.clock.monotonic() + start.limits.wallTimeMs;
    const own = this.#withRoom(start);
    const attempt = this.#table.add((place) => new Attempt(place, module, own, handler, deadlineMs, this.#cancel));
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
    const refused = this.#refusal(start);
    if (refused !== undefined) {
      queueMicrotask(() => this.#kill(attempt, ...refused));
    } else {
      module.compiled().then(
        () => this.#enqueue(attempt),
        (error) => this.#kill(attempt, "workerLost", `the module does not compile: ${error}`),
      );
    }
    return attempt;
  }

  prepare(artefact: Artefact): void {
    const module = this.#modules.get(artefact);
    module.compiled().then(
      () => this.#closed || this.#workers.prepare(module),
      () => {},
    );
  }

  get idleBytes(): number {
    return this.#idle.idleBytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leaveMemory();
    for (const attempt of Array.from(this.#table.all())) {
      this.#kill(attempt, "closed", "the host is stopping");
    }
    clearInterval(this.#timer);
    await this.#workers.close();
  }

  // until a call begins

  /** With the threads that it is given, and so many such calls of its tenant at once as there is room for. */
  #withRoom(start: SandboxStart): SandboxStart {
    const { callMax, tenantMax } = start.threads ?? { callMax: 1, tenantMax: 1 };
    if (start.ranks !== undefined) {
      const sandboxesMax = Math.max(1, Math.floor(tenantMax / Math.max(1, start.ranks)));
      return { ...start, threads: { callMax: start.ranks, tenantMax }, sandboxesMax };
    }
    const threads = Math.max(1, Math.min(callMax, tenantMax, this.#options.threadsMax));
    return { ...start, threads: { callMax: threads, tenantMax }, sandboxesMax: Math.max(1, Math.floor(tenantMax / threads)) };
  }

  #refusal(start: SandboxStart): [KillReason, string] | undefined {
    const { depth, ranks = 0 } = start;
    const { queued } = this.load;
    const { threadsMax } = this.#options;
    if (this.#closed) {
      return ["closed", "the host is stopping"];
    }
    // The one that asks is in the table.
    if (depth === 0 && queued > this.#options.queueMax) {
      return ["overloaded", `${queued} calls wait for threads, at most ${this.#options.queueMax} may`];
    }
    if (ranks > threadsMax) {
      return ["tooLarge", `a world of ${ranks} ranks, all worlds and threads together may have ${threadsMax} here`];
    }
    return refusedFor(this.#options.memory, start);
  }

  #enqueue(attempt: Attempt): void {
    if (!attempt.ended && (attempt.start.ranks === 0 || this.#gates.enter(attempt))) {
      this.#askForMemory(attempt);
    }
  }

  #askForMemory(attempt: Attempt): void {
    const { tenant, depth } = attempt.start;
    attempt.memory = {
      group: tenant,
      depth,
      bytes: bytesOf(attempt.start),
      admit: () => {
        if (attempt.input === undefined) {
          attempt.readInput().then(
            () => this.#admit(attempt),
            (error) => this.#kill(attempt, "workerLost", `the input cannot be read: ${error}`),
          );
        } else {
          this.#admit(attempt);
        }
      },
      end: (reason, message) => this.#kill(attempt, reason, message),
    };
    if (this.#options.memory.enter(attempt.memory)) {
      attempt.memory.admit();
    }
  }

  #admit(attempt: Attempt): void {
    if (attempt.ended) {
      return;
    }
    if (attempt.start.ranks === 0) {
      this.#begin(attempt);
    } else {
      this.#waiting.push(attempt);
      this.#dispatch();
    }
  }

  #dispatch(): void {
    while (this.#waiting.size > 0 && !this.#closed) {
      const { depth } = this.#waiting;
      const isFull = this.#threads >= this.#options.threadsMax;
      if (isFull && depth <= (this.#beyond.at(-1)?.attempt.start.depth ?? 0)) {
        return;
      }
      const attempt = this.#waiting.shift();
      if (attempt === undefined) {
        return;
      }
      const call = this.#begin(attempt);
      if (isFull) {
        this.#beyond.push(call);
      }
    }
  }

  #begin(attempt: Attempt): TeamCall {
    const worker = this.#workers.take(attempt.module.artefact.hash);
    const call = new TeamCall(attempt, worker, this.#options.clock.monotonic());
    this.#threads += call.threads;
    this.#calls.set(attempt, call);
    this.#callOf.set(worker, call);
    worker.begin(attempt);
    return call;
  }

  // while it runs

  #hear(worker: SandboxWorker, frame: Frame): void {
    const call = this.#callOf.get(worker);
    const attempt = call?.attempt;
    if (call === undefined || attempt?.slot !== frame.call || attempt.attempt !== frame.attempt) {
      return;
    }
    const wrong = worker.sharesMemory || attempt.ended ? undefined : wrongInTeam(frame, call);
    if (wrong !== undefined) {
      worker.breached();
      this.#end(attempt, lost(`the worker broke the protocol: ${wrong}`, attempt.cpuMs));
      return;
    }
    switch (frame.type) {
      case FrameType.spawn:
        this.#startThread(call, frame.a, frame.attachment as MessagePort | undefined);
        break;
      case FrameType.threadEnd:
        this.#threadEnded(worker, call, frame);
        break;
      case FrameType.end:
        this.#mainEnded(call, frame);
        break;
      case FrameType.operation:
        if (attempt.memory !== undefined) {
          this.#options.memory.resized(attempt.memory, Math.max(0, frame.b) * WASM_PAGE_BYTES);
        }
        if (!attempt.ended) {
          attempt.onOperation(frame.code, frame.body, frame.a === 1, Math.max(attempt.cpuMs, frame.x));
        }
        break;
      case FrameType.log:
        if (!attempt.ended) {
          attempt.handler.onLog(Buffer.from(frame.body).toString());
        }
        break;
    }
  }

  #startThread(call: TeamCall, thread: number, birth: MessagePort | undefined): void {
    if (call.attempt.ended) {
      birth?.close();
      return;
    }
    const worker = this.#workers.take();
    call.join(worker, this.#options.clock.monotonic());
    this.#callOf.set(worker, call);
    worker.startThread(call.attempt, thread, birth);
  }

  #threadEnded(worker: SandboxWorker, call: TeamCall, frame: Frame): void {
    this.#callOf.delete(worker);
    call.leave(worker, frame.x);
    this.#workers.rest(worker);
    if (frame.c === 1 && !call.attempt.ended) {
      const { body } = frame;
      const end = decodeEnd({ ...frame, body });
      // What the main thread has posted before counts, and comes first.
      call.main.hear();
      this.#end(call.attempt, end.kind === "trapped" ? { ...end, message: `in a thread: ${end.message}` } : end);
    } else if (call.workers().length === 0 && !call.attempt.ended) {
      call.onAlone();
    }
  }

  #mainEnded(call: TeamCall, frame: Frame): void {
    const { attempt, main } = call;
    const end = attempt.endWithin(this.#options.memory, decodeEnd(frame));
    call.leave(main, frame.x);
    this.#callOf.delete(main);
    // What they have printed, and what they have cost.
    for (const worker of call.workers()) {
      worker.hear();
    }
    if (attempt.ended) {
      this.#workers.rest(main);
      return;
    }
    this.#workers.rest(main, attempt.module.artefact.hash);
    if (frame.b > 0 || call.workers().length === 0) {
      this.#finish(call, end);
    } else {
      // They have ended before it, and what they have cost is on its way.
      call.onAlone = () => this.#finish(call, end);
    }
  }

  #finish(call: TeamCall, end: SandboxEnd): void {
    const { attempt } = call;
    const cpuMs = call.cpuMs(this.#options.clock.monotonic());
    const ended = this.#endWorkers(call.workers());
    this.#release(attempt, end);
    attempt.end({ ...end, cpuMs });
    ended.then(() => attempt.gone());
  }

  #look(): void {
    if (this.#table.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const nowMs = this.#options.clock.monotonic();
    for (const attempt of Array.from(this.#table.all())) {
      const { wallTimeMs, cpuTimeMs } = attempt.start.limits;
      const call = this.#calls.get(attempt);
      attempt.cpuMs = Math.max(attempt.cpuMs, call?.cpuMs(nowMs) ?? 0);
      if (attempt.cpuMs > cpuTimeMs) {
        this.#kill(attempt, "cpuTime", cpuTimeText(cpuTimeMs));
      } else if (nowMs >= attempt.deadlineMs) {
        this.#kill(attempt, "wallTime", `the call ran longer than ${wallTimeMs} ms`);
      }
    }
  }

  // the end

  readonly #cancel = (attempt: Attempt): void => this.#kill(attempt, "cancelled", "the attempt was cancelled");

  #kill(attempt: Attempt, reason: KillReason, message: string): void {
    this.#end(attempt, { kind: "killed", reason, message, cpuMs: attempt.cpuMs });
  }

  /** Ends an attempt from this side. */
  #end(attempt: Attempt, end: SandboxEnd): void {
    if (attempt.ended) {
      return;
    }
    const call = this.#calls.get(attempt);
    const cpuMs = call?.cpuMs(this.#options.clock.monotonic()) ?? 0;
    const ended = this.#endWorkers(call?.workers() ?? []);
    if (call === undefined) {
      attempt.queue?.withdraw(attempt);
    }
    this.#release(attempt);
    attempt.end({ ...end, cpuMs: Math.max(end.cpuMs, cpuMs) });
    ended.then(() => attempt.gone());
  }

  readonly #lost = (worker: SandboxWorker, end: CarrierEnd): void => {
    const call = this.#callOf.get(worker);
    this.#workers.forget(worker);
    this.#callOf.delete(worker);
    if (call !== undefined) {
      const { attempt } = call;
      const isToBlame = this.#blame.culprit([attempt], attempt, end) !== undefined;
      this.#end(attempt, isToBlame ? lost(end.message, attempt.cpuMs) : displaced(attempt.cpuMs));
    }
  };

  async #endWorkers(workers: readonly SandboxWorker[]): Promise<void> {
    for (const worker of workers) {
      this.#callOf.delete(worker);
    }
    await Promise.all(workers.map((worker) => this.#workers.end(worker)));
  }

  /** The attempt has no room any more. */
  #release(attempt: Attempt, end?: SandboxEnd): void {
    if (!this.#table.remove(attempt)) {
      return;
    }
    attempt.module.users -= 1;
    const call = this.#calls.get(attempt);
    if (call !== undefined) {
      this.#calls.delete(attempt);
      this.#threads -= call.threads;
      const index = this.#beyond.indexOf(call);
      if (index >= 0) {
        this.#beyond.splice(index, 1);
      }
    }
    attempt.leaveMemory(this.#options.memory, end);
    for (const next of this.#gates.leave(attempt)) {
      this.#askForMemory(next);
    }
    this.#dispatch();
  }
}

/** As `wrongIn`, of what only calls with threads say. Those that end are heard of later than those that they are followed by. */
function wrongInTeam(frame: Frame, call: TeamCall): string | undefined {
  switch (frame.type) {
    case FrameType.spawn:
      return call.workers().length > 2 * call.threads ? `more than ${call.threads} threads` : undefined;
    case FrameType.threadEnd:
      return wrongIn({ ...frame, type: FrameType.end }, call.attempt);
    default:
      return wrongIn(frame, call.attempt);
  }
}
