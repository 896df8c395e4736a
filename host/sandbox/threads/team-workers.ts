/** Workers that serve one call at a time: as its main thread, or as another one. At the lowest priority, for good. */
import { availableParallelism } from "node:os";
import type { Clock } from "../../../state/ports.ts";
import type { ModuleHash } from "../../modules/artefact.ts";
import type { Carrier, CarrierEnd } from "../frames/carrier.ts";
import type { Frame } from "../frames/protocol.ts";
import type { ModuleEntry } from "../pool/module-cache.ts";
import { SandboxWorker } from "../pool/sandbox-worker.ts";

/** Its calls' sandboxes, and others that lie ready from calls before. */
const SANDBOXES_MAX = 8;
/** One that has not been used for so long ends. */
const IDLE_MS = 60_000;

export interface TeamWorkersOptions {
  readonly clock: Clock;
  /** Starts an executor that has so many sandboxes at most. */
  readonly startCarrier: (sandboxesMax: number) => Carrier;
  readonly onFrame: (worker: SandboxWorker, frame: Frame) => void;
  readonly onExit: (worker: SandboxWorker, end: CarrierEnd) => void;
}

interface Idle {
  readonly worker: SandboxWorker;
  /** Of the module of which it has a sandbox. */
  readonly hash: ModuleHash | undefined;
  readonly sinceMs: number;
}

export class TeamWorkers {
  readonly #options: TeamWorkersOptions;
  readonly #all = new Set<SandboxWorker>();
  /** The last one was used last. */
  #idle: Idle[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TeamWorkersOptions) {
    this.#options = options;
  }

  all(): Iterable<SandboxWorker> {
    return this.#all;
  }

  get size(): number {
    return this.#all.size;
  }

  /** One that serves no call. @param hash  of the module of which it shall have a sandbox, if there is one that has */
  take(hash?: ModuleHash): SandboxWorker {
    const kept = this.#idle.findLastIndex((idle) => idle.hash === hash);
    const [found] = this.#idle.splice(kept < 0 ? this.#idle.length - 1 : kept, 1);
    return found?.worker ?? this.#start();
  }

  /** It serves no call any more. */
  rest(worker: SandboxWorker, hash?: ModuleHash): void {
    if (this.#idle.length > availableParallelism()) {
      void this.end(worker);
      return;
    }
    this.#idle.push({ worker, hash, sinceMs: this.#options.clock.monotonic() });
    this.#timer ??= setInterval(() => this.#endIdle(), IDLE_MS / 4).unref();
  }

  /** One lies ready, with a sandbox of the module. */
  prepare(module: ModuleEntry): void {
    if (this.#idle.length === 0) {
      const worker = this.#start();
      worker.prepare(module);
      this.rest(worker, module.artefact.hash);
    }
  }

  /** Resolves when its thread has ended; nothing that it says is heard from now on. */
  async end(worker: SandboxWorker): Promise<void> {
    this.forget(worker);
    await worker.terminate();
  }

  /** Its thread has ended. */
  forget(worker: SandboxWorker): void {
    this.#all.delete(worker);
    this.#idle = this.#idle.filter((idle) => idle.worker !== worker);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(Array.from(this.#all, (worker) => this.end(worker)));
  }

  #start(): SandboxWorker {
    const { startCarrier, clock, onFrame, onExit } = this.#options;
    const worker = new SandboxWorker({ carrier: startCarrier(SANDBOXES_MAX), clock, onFrame, onExit });
    this.#all.add(worker);
    worker.ready.then(
      () => worker.renice(),
      () => {},
    );
    return worker;
  }

  #endIdle(): void {
    const untilMs = this.#options.clock.monotonic() - IDLE_MS;
    for (const { worker } of this.#idle.filter(({ sinceMs }) => sinceMs <= untilMs)) {
      void this.end(worker);
    }
  }
}
