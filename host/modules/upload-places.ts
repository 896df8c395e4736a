/** Where the pipeline of an upload runs (`upload-pipeline.ts`), as its starter sees it. */
import { createHash, type Hash } from "node:crypto";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { hasCode, NeapError } from "../../state/errors.ts";
import {
  CONFINED_ARGUMENTS,
  type ProcessEnd,
  type ProcessStarter,
  type StartedProcess,
  THREAD_ENVIRONMENT,
} from "../processes/index.ts";
import { type Artefact, SHARED_MEMORY, WASM_PAGE_BYTES } from "./artefact.ts";
import { decodeArtefact } from "./artefact-codec.ts";
import { MODULE_CAPS } from "./module-caps.ts";
import { hashModule } from "./preparation.ts";
import { SocketBytes, sized, write } from "./socket-bytes.ts";
import { UPLOAD_KINDS, type UploadMessage } from "./upload-messages.ts";
import type { UploadJob } from "./upload-pipeline.ts";
import type { UploadRequest, UploadTold } from "./upload-worker.ts";

export interface UploadPlace {
  /** Answers `rewriting`. */
  rewritten(module: Uint8Array): void;
  end(): Promise<unknown>;
}

export interface UploadListener {
  hear(message: UploadMessage): void;
  /** Nothing more will be heard. */
  fail(error: unknown): void;
}

/** Bounds what the pipeline's own tables of a hostile module may take; guest memory and module bytes are not part of it. */
const HEAP_MAX_MEGABYTES = 512;
const THREAD_LIMITS = { maxOldGenerationSizeMb: HEAP_MAX_MEGABYTES, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

const outOfMemory = () => new NeapError("MODULE_LIMIT", "the module takes more memory to read than an upload has");

/** Without an upload for so long, a thread ends. */
const IDLE_MS = 1_000;

/** Threads for uploads: one that has given its answer takes the next one. */
export class UploadThreads {
  readonly #idle = new Set<UploadThread>();

  /** The module is handed over, and comes back with the answer. */
  begin(buffer: ArrayBuffer, job: UploadJob, listener: UploadListener): UploadPlace {
    const [thread = new UploadThread(this.#idle)] = this.#idle;
    thread.begin(buffer, job, listener);
    return thread;
  }
}

class UploadThread implements UploadPlace {
  readonly #worker: Worker;
  readonly #idle: Set<UploadThread>;
  #port: MessagePort | undefined;
  #fail: (error: unknown) => void = () => {};
  /** It has answered, and takes a further upload. */
  #isFree = false;
  #idleTimer: NodeJS.Timeout | undefined;

  /** @param idle  those that take an upload */
  constructor(idle: Set<UploadThread>) {
    this.#idle = idle;
    this.#worker = new Worker(new URL("./upload-worker.ts", import.meta.url), {
      resourceLimits: THREAD_LIMITS,
      env: THREAD_ENVIRONMENT,
      execArgv: [],
      name: "neap-upload",
    });
    this.#worker.on("error", (error) => this.#fail(hasCode(error, "ERR_WORKER_OUT_OF_MEMORY") ? outOfMemory() : error));
    this.#worker.on("exit", (status) => {
      idle.delete(this);
      this.#fail(new Error(`the upload's thread ended with status ${status} and without an answer`));
    });
  }

  begin(buffer: ArrayBuffer, job: UploadJob, { hear, fail }: UploadListener): void {
    this.#idle.delete(this);
    clearTimeout(this.#idleTimer);
    this.#worker.ref();
    this.#fail = fail;
    this.#isFree = false;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on("message", ({ message, isSpent }: UploadTold) => {
      this.#isFree = !isSpent && (message.kind === "prepared" || message.kind === "refused");
      hear(message);
    });
    this.#worker.postMessage({ buffer, job, port: port2 } satisfies UploadRequest, [buffer, port2]);
  }

  rewritten(module: Uint8Array): void {
    this.#port?.postMessage(module);
  }

  async end(): Promise<void> {
    this.#port?.close();
    this.#fail = () => {};
    if (this.#isFree) {
      this.#worker.unref();
      this.#idleTimer = setTimeout(() => this.#terminate(), IDLE_MS).unref();
      this.#idle.add(this);
    } else {
      await this.#terminate();
    }
  }

  async #terminate(): Promise<void> {
    this.#idle.delete(this);
    await this.#worker.terminate();
  }
}

const ARGUMENTS = [...CONFINED_ARGUMENTS, `--max-old-space-size=${HEAP_MAX_MEGABYTES}`, "--stack-size=3900", "-"];
const MIB = 1024 * 1024;
const TASKS_MAX = 64;
/** Names, globals and the like. */
const ARTEFACT_OVERHEAD_BYTES = 16 * MIB;
/** Of a request to rewrite, or of a refusal. */
const TEXT_MAX_BYTES = MIB;
/** In one go on the main thread (H27). */
const HASHED_BYTES = 256 * 1024;
/** By which a process ends that got no more memory, or that the kernel ended for it. */
const MEMORY_SIGNALS: ReadonlySet<string | null> = new Set(["SIGABRT", "SIGTRAP", "SIGILL", "SIGKILL"]);

/** A process confined as those of tenants are. What it says is checked; hashes, by which others find the artefact, are made here. */
export class UploadProcess implements UploadPlace {
  readonly #process: StartedProcess;
  readonly #module: Uint8Array;
  readonly #job: UploadJob;
  #socket: Socket | undefined;

  constructor(starter: ProcessStarter, program: Uint8Array, buffer: ArrayBuffer, job: UploadJob, { hear, fail }: UploadListener) {
    this.#module = new Uint8Array(buffer);
    this.#job = job;
    const memoryMaxBytes = job.limits.memoryMaxPages * WASM_PAGE_BYTES + 2 * HEAP_MAX_MEGABYTES * MIB;
    this.#process = starter.start({ arguments: ARGUMENTS, input: program, limits: { memoryMaxBytes, tasksMax: TASKS_MAX } });
    this.#converse(hear).catch(async (error) => fail(isTold(error) ? error : failureOf(await this.#process.ended, error)));
  }

  rewritten(module: Uint8Array): void {
    if (this.#socket !== undefined) {
      write(this.#socket, ...sized(module));
    }
  }

  async end(): Promise<void> {
    this.#process.kill();
  }

  async #converse(hear: (message: UploadMessage) => void): Promise<void> {
    const socket = await this.#process.socket;
    this.#socket = socket;
    write(socket, ...sized(Buffer.from(JSON.stringify(this.#job))), ...sized(this.#module));
    const bytes = new SocketBytes(socket);
    const json = async () => JSON.parse(Buffer.from(await bytes.takeSized(TEXT_MAX_BYTES)).toString());
    const madeMaxBytes = 16 * this.#module.byteLength + MODULE_CAPS.snapshotBytes + ARTEFACT_OVERHEAD_BYTES;
    for (;;) {
      const [kind = -1] = await bytes.take(1);
      switch (UPLOAD_KINDS[kind]) {
        case "rewriting": {
          const { passes, options } = await json();
          hear({ kind: "rewriting", request: { passes, options }, module: await bytes.takeSized(madeMaxBytes) });
          break;
        }
        case "starting":
          hear({ kind: "starting" });
          break;
        case "prepared":
          hear({ kind: "prepared", prepared: await this.#prepared(await bytes.takeSized(madeMaxBytes)) });
          return;
        case "refused": {
          const { code, message } = await json();
          hear({ kind: "refused", code, message });
          return;
        }
        default:
          throw new NeapError("MODULE_INVALID", `the upload's process broke the protocol: a message of kind ${kind}`);
      }
    }
  }

  async #prepared(artefact: Uint8Array) {
    const { limits, rewriting } = this.#job;
    const module = this.#module;
    const upload = createHash("sha256");
    const made = hashModule(limits, rewriting);
    await hashInSlices(module, [upload, made]);
    const hash = made.digest("hex") as Artefact["hash"];
    if (this.#job.kind === "function") {
      check(decodeArtefact(artefact, hash), this.#job);
    }
    return { hash, uploadHash: upload.digest("hex"), module, artefact };
  }
}

/** Passes through the message loop between slices. */
export async function hashInSlices(bytes: Uint8Array, hashes: readonly Hash[]): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += HASHED_BYTES) {
    for (const hash of hashes) {
      hash.update(bytes.subarray(at, at + HASHED_BYTES));
    }
    await nextTurn();
  }
}

/** What the host relies on whoever made the artefact; all else costs its tenant's calls only. */
function check(
  { snapshot, memoryMaxPages, imports, preemptible, migratable, aliasState }: Artefact,
  { abi, limits, rewriting }: UploadJob,
): void {
  const offered = new Set(abi.map(([name]) => name));
  let end = 0;
  const isAscending = snapshot.runs.every(({ offset, bytes }) => {
    const follows = offset >= end;
    end = offset + bytes.byteLength;
    return follows;
  });
  const isAsAsked =
    preemptible === rewriting.preemptible &&
    migratable === rewriting.migratable &&
    aliasState === rewriting.aliasState &&
    memoryMaxPages <= limits.memoryMaxPages &&
    snapshot.pages <= memoryMaxPages &&
    isAscending &&
    end <= snapshot.pages * WASM_PAGE_BYTES &&
    imports.every((name) => offered.has(name) || name === SHARED_MEMORY);
  if (!isAsAsked) {
    throw new NeapError("MODULE_INVALID", "the upload's process made something else of the module than was asked for");
  }
}

function isTold(error: unknown): boolean {
  return error instanceof NeapError && error.code !== "BLOB_MISSING";
}

function failureOf({ failure, complaint, code, signal, heldBytes }: ProcessEnd, cause: unknown): Error {
  if (failure !== undefined) {
    return new NeapError("OVERLOADED", `the upload's process could not be started: ${failure}`);
  }
  if (heldBytes !== undefined || MEMORY_SIGNALS.has(signal)) {
    return outOfMemory();
  }
  return new Error(`the upload's process ended with ${signal ?? `code ${code}`} and without an answer: ${complaint}`, { cause });
}
