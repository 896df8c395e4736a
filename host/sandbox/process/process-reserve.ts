/**
 * Processes that are started and nobody's yet: a tenant's first call, and a call whose process has died, wait for none to start. One that
 * was taken never comes back.
 */
import { setTimeout as pause } from "node:timers/promises";
import {
  CONFINED_ARGUMENTS,
  CONFINED_THREAD_ARGUMENTS,
  makeProgram,
  nameOf,
  type ProcessStarter,
  THREADS_ARGUMENT,
} from "../../processes/index.ts";
import type { Carrier, CarrierEnd, HostChannel } from "../frames/carrier.ts";
import type { SliceView } from "../frames/slice-marks.ts";
import type { HubData } from "./hub.ts";
import { neverStarted, ProcessCarrier } from "./process-carrier.ts";
import type { ProcessData } from "./process-worker.ts";

const ENTRY = new URL("./process-worker.ts", import.meta.url);
const HUB_ENTRY = new URL("./hub.ts", import.meta.url);
const THREAD_ENTRY = new URL("./thread-worker.ts", import.meta.url);
/** After one could not be started. */
const FAILED_START_PAUSE_MS = 1_000;

export interface ReserveOptions extends ProcessData {
  readonly starter: ProcessStarter;
  /** Its export `createImports` makes the imports of each sandbox. */
  readonly importsUrl: URL;
  /** Processes that lie ready. */
  readonly size: number;
  readonly heapMaxMegabytes: number;
  readonly rssMaxBytes: number;
  readonly bodyMaxBytes: number;
  /** Of processes whose guests share memory. */
  readonly threaded: {
    /** What it may hold beyond `rssMaxBytes`: memories that are shared. */
    readonly sharedMaxBytes: number;
    readonly threadsMax: number;
  };
}

export class ProcessReserve {
  readonly #options: ReserveOptions;
  #source: Promise<Uint8Array> | undefined;
  #threadedSource: Promise<Uint8Array> | undefined;
  readonly #ready: ProcessCarrier[] = [];
  readonly #taken = new Set<ProcessCarrier>();
  readonly #withThreads = new Set<ProcessCarrier>();
  #isClosed = false;

  /** No process is started before `fill` or `take`. */
  constructor(options: ReserveOptions) {
    this.#options = options;
  }

  /** Processes in use, those that lie ready included. */
  get processes(): number {
    return this.#ready.length + this.#taken.size;
  }

  /** Of these, those that may start threads. */
  get processesWithThreads(): number {
    return this.#withThreads.size;
  }

  /** What they hold resident. */
  get rssBytes(): number {
    return [...this.#ready, ...this.#taken].reduce((sum, one) => sum + (one.rssBytes() ?? 0), 0);
  }

  /** From now on as many processes lie ready as shall. */
  fill(): void {
    try {
      while (!this.#isClosed && this.#ready.length < this.#options.size) {
        const carrier = this.#start();
        this.#ready.push(carrier);
        void carrier.ended.then(() => this.#replace(carrier));
      }
    } catch {
      this.#fillLater();
    }
  }

  /** A process for one tenant; it may still be starting. */
  take(): Carrier {
    try {
      const carrier = this.#ready.shift() ?? this.#start();
      this.#take(carrier);
      setImmediate(() => this.fill());
      return carrier;
    } catch (error) {
      return new NoProcess(error);
    }
  }

  /** A process with threads, for one tenant, after a while; none lies ready. @throws when the system has no file to give */
  takeThreaded(waitMs: number): ProcessCarrier {
    const { importsUrl, heapMaxMegabytes, rssMaxBytes, threaded } = this.#options;
    const data: HubData = {
      entry: nameOf(THREAD_ENTRY.href),
      imports: nameOf(importsUrl.href),
      flags: CONFINED_THREAD_ARGUMENTS,
      heapMaxMegabytes,
    };
    const run = `(hub, add, program) => hub.serve(${JSON.stringify(data)}, program)`;
    this.#threadedSource ??= makeProgram([HUB_ENTRY], run, [THREAD_ENTRY, importsUrl]);
    const source = Promise.all([this.#threadedSource, pause(waitMs, undefined, { ref: false })]).then(([bytes]) => bytes);
    const carrier = this.#carrier([THREADS_ARGUMENT], source, {
      rssMaxBytes: rssMaxBytes + threaded.sharedMaxBytes,
      threadsMax: threaded.threadsMax,
    });
    this.#take(carrier);
    this.#withThreads.add(carrier);
    void carrier.ended.then(() => this.#withThreads.delete(carrier));
    return carrier;
  }

  /** Ends every process, the taken ones too. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#ready.splice(0), ...this.#taken].map((carrier) => carrier.terminate()));
  }

  #start(): ProcessCarrier {
    const { rssMaxBytes, importsUrl, sandboxesMax, idleMaxBytes } = this.#options;
    const data = JSON.stringify({ sandboxesMax, idleMaxBytes } satisfies ProcessData);
    this.#source ??= makeProgram([ENTRY, importsUrl], `(worker, imports) => worker.serve(imports.createImports, ${data})`);
    return this.#carrier([], this.#source, { rssMaxBytes, threadsMax: 0 });
  }

  #carrier(
    flags: readonly string[],
    source: Promise<Uint8Array>,
    limits: { readonly rssMaxBytes: number; readonly threadsMax: number },
  ): ProcessCarrier {
    const { starter, heapMaxMegabytes, bodyMaxBytes } = this.#options;
    const args = [...CONFINED_ARGUMENTS, ...flags, `--max-old-space-size=${heapMaxMegabytes}`, "-"];
    return new ProcessCarrier({ starter, arguments: args, source, bodyMaxBytes, ...limits });
  }

  #take(carrier: ProcessCarrier): void {
    this.#taken.add(carrier);
    void carrier.ended.then(() => this.#taken.delete(carrier));
  }

  #replace(carrier: ProcessCarrier): void {
    const index = this.#ready.indexOf(carrier);
    if (index >= 0) {
      this.#ready.splice(index, 1);
      this.#fillLater();
    }
  }

  #fillLater(): void {
    setTimeout(() => this.fill(), FAILED_START_PAUSE_MS).unref();
  }
}

/** Where the system has no process to give. */
export class NoProcess implements Carrier {
  readonly marks: SliceView = { read: () => ({ slice: 0, running: undefined, cpuMs: 0 }), idleSandboxes: 0, idleBytes: 0 };
  readonly sharesMemory = false;
  readonly ready = new Promise<void>(() => {});
  readonly ended: Promise<CarrierEnd>;
  readonly channel: HostChannel = {
    send() {},
    sendAttached() {},
    receive: () => undefined,
    sleepAsync: () => true,
    interrupt() {},
    close() {},
  };

  constructor(cause: unknown) {
    this.ended = Promise.resolve(neverStarted(cause));
  }

  cpuMs(): undefined {}

  renice(): void {}

  async terminate(): Promise<void> {}
}
