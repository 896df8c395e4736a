/**
 * Starts processes for this one, by way of a small one that does nothing else (`starter.ts`).
 *
 * Owns: that process, which is started again when it is lost; who connects to whom. Does not own: what the processes are for.
 *
 * 1. Every process that was asked for ends, at the latest with `close`, and its end is told once.
 * 2. A connection is taken for a process only when it brings the token that was made for that one.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Defences, FromStarter, ProcessEnd, ProcessRequest, ToStarter } from "./messages.ts";

const STARTER = fileURLToPath(new URL("./starter.ts", import.meta.url));
const HEAP_MAX_MEGABYTES = 64;
const TOKEN_BYTES = 16;
const ANY = Buffer.of(1);
/** Between a connection and its token. */
const TOKEN_TIMEOUT_MS = 10_000;
const NEVER_STARTED: ProcessEnd = { code: null, signal: null, complaint: "" };
const KILLED: ProcessEnd = { ...NEVER_STARTED, signal: "SIGKILL" };

export interface StarterOptions {
  /** Of the strongest ways to confine processes, so many are not used; for tests. */
  readonly confinementsLeftOut?: number;
}

/** It was asked for, and may not be there yet. */
export interface StartedProcess {
  /**
   * Its descriptor 3; it rejects when there is none. What it has said on it may be there to be read after its end is told, so the end of
   * an answer is that of the connection.
   */
  readonly socket: Promise<Socket>;
  readonly ended: Promise<ProcessEnd>;
  /** To be called once it is known to run what it shall. The kernel's id of it; undefined when it has ended. */
  processId(): Promise<number | undefined>;
  /** Writes something into a pipe that is its descriptor 4, unless what was written before has not got through. */
  interrupt(): void;
  /** Returns at once; nothing happens when it has ended. */
  kill(): void;
}

/** Sends interrupts to a process, without a detour through its starter: on a busy machine that would cost two turns more. */
class Interrupts {
  #pipe: Socket | undefined;

  connect(pipe: Socket): void {
    this.#pipe = pipe.unref();
    pipe.on("error", () => {});
    // It ends, and reads of this pipe keep it from that.
    pipe.once("data", () => pipe.destroy());
  }

  /** Nothing while an earlier one has not got through: a process that does not listen costs nothing here. */
  send(): void {
    if (this.#pipe?.writable && this.#pipe.writableLength === 0) {
      this.#pipe.write(ANY);
    }
  }

  close(): void {
    this.#pipe?.destroy();
  }
}

interface Expected {
  readonly interrupts: Interrupts;
  readonly token: string;
  connected(socket: Socket): void;
  unreachable(): void;
  known(processId: number | undefined): void;
  gone(end: ProcessEnd): void;
}

export class ProcessStarter {
  readonly #options: StarterOptions;
  readonly #address: string;
  readonly #server = createServer((socket) => this.#greet(socket)).unref();
  readonly #expected = new Map<number, Expected>();
  /** Of processes that have not connected. */
  readonly #byToken = new Map<string, Expected>();
  readonly #opened = Promise.withResolvers<Defences>();
  #starter: ChildProcess | undefined;
  #count = 0;

  private constructor(options: StarterOptions) {
    this.#options = options;
    const name = `neap-${randomBytes(TOKEN_BYTES).toString("hex")}`;
    // On Linux a name that is no file: nothing is left of a host that was killed.
    this.#address = process.platform === "linux" ? `\0${name}` : join(tmpdir(), name);
  }

  /** @throws when no process can be started, or there is no socket to listen on */
  static async open(options: StarterOptions = {}): Promise<ProcessStarter> {
    const starter = new ProcessStarter(options);
    starter.#server.listen(starter.#address);
    await once(starter.#server, "listening");
    starter.#starter = starter.#fork();
    await starter.defences;
    return starter;
  }

  /** What is active on this machine. */
  get defences(): Promise<Defences> {
    return this.#opened.promise;
  }

  /** Failures are told by its end. */
  start(request: ProcessRequest): StartedProcess {
    const number = this.#count++;
    const token = randomBytes(TOKEN_BYTES);
    const socket = Promise.withResolvers<Socket>();
    const ended = Promise.withResolvers<ProcessEnd>();
    const id = Promise.withResolvers<number | undefined>();
    socket.promise.catch(() => {});
    const interrupts = new Interrupts();
    this.#expect(number, {
      interrupts,
      token: token.toString("hex"),
      connected: socket.resolve,
      unreachable: () => socket.reject(new Error("the process has ended without a connection")),
      known: id.resolve,
      gone: (end) => {
        interrupts.close();
        id.resolve(undefined);
        ended.resolve(end);
      },
    });
    this.#starter ??= this.#fork();
    this.#tell({ kind: "start", number, address: this.#address, token, request });
    return {
      socket: socket.promise,
      ended: ended.promise,
      processId: () => {
        this.#tell({ kind: "serves", number });
        return id.promise;
      },
      interrupt: () => interrupts.send(),
      kill: () => this.#tell({ kind: "kill", number }),
    };
  }

  /** Ends every process. */
  async close(): Promise<void> {
    this.#server.close();
    const starter = this.#starter;
    if (starter !== undefined) {
      starter.ref();
      starter.stdin?.destroy();
      await once(starter, "exit");
    }
  }

  #fork(): ChildProcess {
    const starter = fork(STARTER, [`${this.#options.confinementsLeftOut ?? 0}`], {
      execArgv: ["--no-warnings", `--max-old-space-size=${HEAP_MAX_MEGABYTES}`],
      env: {},
      cwd: "/",
      // In a group of its own: what a terminal sends to this one's does not reach it.
      detached: true,
      serialization: "advanced",
      // Its standard input is what tells it that this process has gone.
      stdio: ["pipe", "ignore", "inherit", "ipc"],
    });
    starter.unref();
    const { stdin } = starter as ChildProcess & { readonly stdin: Socket };
    stdin.on("error", () => {}).unref();
    starter.channel?.unref();
    starter.once("error", (error) => this.#lost({ ...NEVER_STARTED, failure: error.message }));
    starter.once("exit", () => this.#lost(KILLED));
    starter.on("message", (message: FromStarter, pipe) => this.#hear(message, pipe as Socket | undefined));
    return starter;
  }

  #tell(message: ToStarter): void {
    if (this.#starter?.connected) {
      // When it ends before it has heard this, all that it has started ends too.
      this.#starter.send(message, () => {});
    }
  }

  #hear(message: FromStarter, pipe: Socket | undefined): void {
    switch (message.kind) {
      case "open":
        this.#opened.resolve(message.defences);
        break;
      case "started":
        this.#interrupted(message.number, pipe);
        break;
      case "known":
        this.#expected.get(message.number)?.known(message.processId);
        break;
      case "ended":
        this.#gone(message.number, message.end);
        break;
    }
  }

  /** There is no pipe when the process had ended before it was sent. */
  #interrupted(number: number, pipe: Socket | undefined): void {
    const expected = this.#expected.get(number);
    if (expected === undefined) {
      pipe?.destroy();
    } else if (pipe !== undefined) {
      expected.interrupts.connect(pipe);
    }
  }

  #expect(number: number, expected: Expected): void {
    this.#expected.set(number, expected);
    this.#byToken.set(expected.token, expected);
  }

  #gone(number: number, end: ProcessEnd): void {
    const expected = this.#expected.get(number);
    if (expected !== undefined) {
      this.#expected.delete(number);
      expected.gone(end);
      // Its connection was made before it was started, and may be heard of after its end.
      setTimeout(() => this.#forget(expected), end.failure === undefined ? TOKEN_TIMEOUT_MS : 0).unref();
    }
  }

  #forget(expected: Expected): void {
    this.#byToken.delete(expected.token);
    expected.unreachable();
  }

  #lost(end: ProcessEnd): void {
    this.#starter = undefined;
    this.#opened.reject(new Error(end.failure ?? "the process that starts all others has ended"));
    for (const number of [...this.#expected.keys()]) {
      this.#gone(number, end);
    }
  }

  #greet(socket: Socket): void {
    socket.unref();
    socket.on("error", () => {});
    socket.setTimeout(TOKEN_TIMEOUT_MS, () => socket.destroy());
    const look = (): void => {
      const token: Buffer | null = socket.read(TOKEN_BYTES);
      if (token === null) {
        return;
      }
      socket.off("readable", look);
      socket.setTimeout(0);
      const name = token.toString("hex");
      const expected = this.#byToken.get(name);
      this.#byToken.delete(name);
      if (expected === undefined) {
        socket.destroy();
      } else {
        expected.connected(socket);
      }
    };
    socket.on("readable", look);
  }
}
