/**
 * Parses long bodies of `POST /f/`, and checks long arguments of typed entry points, in a thread of its own: on the main thread nothing
 * may take longer than a millisecond (H27).
 *
 * The thread is started when it is needed and ended when it has not been for a while. It has one body at a time.
 */
import { Worker } from "node:worker_threads";
import { invariant, NeapError } from "../../state/errors.ts";
import type { EntryPoint } from "../modules/entry-points/index.ts";
import type { FaasmMessage } from "./faasm-message.ts";

/** What the thread is given; the buffers are handed over. */
export type MessageJob =
  | { readonly kind: "message"; readonly blocks: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: "arguments"; readonly entryPoint: EntryPoint; readonly blocks: readonly Uint8Array<ArrayBuffer>[] };

export type MessageAnswer =
  | { readonly kind: "parsed"; readonly message: FaasmMessage }
  /** The arguments are what the entry point takes. */
  | { readonly kind: "checked" }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

type Done = Exclude<MessageAnswer, { kind: "refused" }>;

interface Waiting {
  readonly job: MessageJob;
  readonly resolve: (done: Done) => void;
  readonly reject: (error: unknown) => void;
}

const KEEP_MS = 30_000;
const MIB = 1024 * 1024;
/**
 * JavaScript heap: the text and the input in it, two bytes per character each, twice. No body takes more: a thread without memory would
 * take the process down.
 */
const HEAP_BYTES_PER_BYTE = 8;
const HEAP_MIN_MIB = 64;

export class MessageThread {
  readonly #bodyMaxBytes: number;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | null = null;
  #current: Waiting | null = null;
  #idle: NodeJS.Timeout | undefined;

  constructor(bodyMaxBytes: number) {
    this.#bodyMaxBytes = bodyMaxBytes;
  }

  /** As `parseFaasmMessage` of all blocks together, which are handed over. */
  async parse(blocks: readonly Uint8Array<ArrayBuffer>[]): Promise<FaasmMessage> {
    const done = await this.#do({ kind: "message", blocks });
    invariant(done.kind === "parsed", "a body was parsed");
    return done.message;
  }

  /** As `checkInput`. */
  async check(entryPoint: EntryPoint, input: Uint8Array): Promise<void> {
    await this.#do({ kind: "arguments", entryPoint, blocks: [new Uint8Array(input)] });
  }

  #do(job: MessageJob): Promise<Done> {
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    this.#waiting.push({ job, resolve, reject });
    if (this.#current === null) {
      this.#next();
    }
    return promise;
  }

  /** What is being parsed is given up. */
  async close(): Promise<void> {
    const stopping = new NeapError("SHUTTING_DOWN", "the host is stopping");
    this.#current?.reject(stopping);
    this.#current = null;
    for (const { reject } of this.#waiting.splice(0)) {
      reject(stopping);
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  #next(): void {
    clearTimeout(this.#idle);
    const next = this.#waiting.shift();
    this.#current = next ?? null;
    if (next === undefined) {
      this.#idle = setTimeout(() => void this.#end(), KEEP_MS).unref();
      return;
    }
    this.#worker ??= this.#start();
    this.#worker.postMessage(
      next.job,
      next.job.blocks.map((block) => block.buffer),
    );
  }

  #start(): Worker {
    const worker = new Worker(new URL("./message-worker.ts", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIN_MIB + Math.ceil((HEAP_BYTES_PER_BYTE * this.#bodyMaxBytes) / MIB) },
      env: {},
      execArgv: [],
      name: "neap-json",
    });
    worker.unref();
    let failure: unknown = new Error("the thread that parses bodies ended without an answer");
    worker.on("message", (answer: MessageAnswer) => {
      if (this.#worker !== worker) {
        return;
      }
      const current = this.#current;
      if (answer.kind === "refused") {
        current?.reject(new NeapError(answer.code, answer.message));
      } else {
        current?.resolve(answer);
      }
      this.#next();
    });
    worker.on("error", (error) => {
      failure = error;
    });
    worker.on("exit", () => {
      if (this.#worker === worker) {
        this.#worker = null;
        this.#current?.reject(failure);
        this.#next();
      }
    });
    return worker;
  }
}
