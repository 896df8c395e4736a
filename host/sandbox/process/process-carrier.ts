/**
 * An executor in a process of its own.
 *
 * Owns: the process from its start to its end, what it may grow to. Does not own: which tenant's calls run in it.
 *
 * 1. A process serves one tenant at most: whoever takes it out of the reserve keeps it.
 * 2. It ends when this process does, in whatever way: its pipe closes, and where the system can, the kernel kills it.
 * 3. Nothing it says is believed before it is checked (`frames.ts`, `distrust.ts`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Carrier, CarrierEnd } from "../carrier.ts";
import { lowerPriority, scheduledMs } from "../thread-carrier.ts";
import type { Confinement } from "./confinement.ts";
import type { ControlGroup, ControlGroups } from "./control-groups.ts";
import { HostPipe } from "./pipe-channel.ts";
import { SliceFile } from "./slice-file.ts";

const LOOK_EVERY_MS = 100;
/** The kernel's limit is above ours, as it counts more: pages of files, its own memory. It is for what grows faster than we look. */
const BEYOND_RSS_BYTES = 64 * 1024 * 1024;
/** Threads of the engine, and of what starts it. */
const TASKS_MAX = 64;
/** Of what a process prints before it serves; afterwards nothing is heard of it. */
const COMPLAINT_MAX_CHARACTERS = 2_000;
/** How a process ends by its own doing, when it does not exit: everything else somebody has sent it. */
const OWN_SIGNALS: ReadonlySet<string | null> = new Set([null, "SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGTRAP", "SIGFPE"]);

export interface ProcessOptions {
  /** Node's program with its flags, which reads `source` from its standard input. */
  readonly program: readonly string[];
  readonly source: Promise<string>;
  readonly confinement: Confinement;
  readonly groups: ControlGroups;
  /** Distinct for each process of this host. */
  readonly number: number;
  readonly rssMaxBytes: number;
  readonly bodyMaxBytes: number;
}

const running = new Set<ProcessCarrier>();
process.on("exit", () => {
  for (const carrier of running) {
    carrier.kill();
  }
});

export class ProcessCarrier implements Carrier {
  readonly channel: HostPipe;
  readonly marks: SliceFile;
  readonly sharesMemory = false;
  readonly ready: Promise<void>;
  readonly ended: Promise<CarrierEnd>;
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;
  readonly #group: ControlGroup;
  readonly #look: NodeJS.Timeout;
  /** The kernel's id of the executor itself, once it is known. */
  #processId: number | undefined;
  /** Why it is killed from here. */
  #verdict: string | undefined;
  #complaint = "";

  /** @throws when the system has no file or process to give */
  constructor(options: ProcessOptions) {
    this.#options = options;
    const { source, groups, number, rssMaxBytes, bodyMaxBytes } = options;
    const name = `neap-${process.pid}-${number}`;
    this.marks = new SliceFile(name, rssMaxBytes);
    let group: ControlGroup | undefined;
    try {
      group = groups.create(name, rssMaxBytes + BEYOND_RSS_BYTES, TASKS_MAX);
      this.#child = start(options, this.marks.descriptor);
    } catch (error) {
      group?.remove();
      this.marks.close();
      throw error;
    }
    this.#group = group;
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.channel = new HostPipe(
      this.#child.stdio[3] as Socket,
      this.#child.stdio[4] as Socket,
      bodyMaxBytes,
      () => {
        this.#serves();
        ready.resolve();
      },
      (message) => this.#kill(`the worker process broke the protocol: ${message}`),
    );
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (cause) => {
        this.#gone();
        resolve({ message: `the worker process could not be started: ${cause.message}`, isKilled: false, cause });
      });
      this.#child.once("exit", (code, signal) => {
        this.#gone();
        resolve(this.#endOf(code, signal));
      });
    });
    this.#child.stdin?.on("error", () => {});
    source.then(
      (text) => this.#child.stdin?.end(text),
      (error) => this.#kill(`the program of worker processes could not be made: ${error.message}`),
    );
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(0, COMPLAINT_MAX_CHARACTERS);
    });
    this.#limit(this.#child.pid);
    this.#child.unref();
    for (const stream of this.#child.stdio) {
      (stream as Socket | null)?.unref();
    }
    running.add(this);
    this.#look = setInterval(() => this.#weigh(), LOOK_EVERY_MS).unref();
  }

  cpuMs(): number | undefined {
    return this.#processId === undefined ? undefined : scheduledMs(`/proc/${this.#processId}`);
  }

  renice(): void {
    if (this.#processId !== undefined) {
      lowerPriority(this.#processId);
    }
  }

  async terminate(): Promise<void> {
    this.kill();
    await this.ended;
  }

  kill(): void {
    if (this.#processId !== undefined && this.#options.confinement.isNested && running.has(this)) {
      try {
        process.kill(this.#processId, "SIGKILL");
      } catch {
        // It has ended, or is another user's: its parent takes it along.
      }
    }
    this.#child.kill("SIGKILL");
  }

  /** Resident bytes; undefined where the system does not tell. */
  rssBytes(): number | undefined {
    if (this.#processId === undefined) {
      return undefined;
    }
    try {
      const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#processId}/status`, "latin1"))?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    } catch {
      return undefined;
    }
  }

  /** The executor serves its pipe: what it prints is not heard from now on. */
  #serves(): void {
    const { pid } = this.#child;
    this.#processId = this.#options.confinement.isNested ? onlyChild(pid) : pid;
    this.#limit(this.#processId);
    this.#child.stderr?.destroy();
  }

  /** Called for what is spawned and for the executor: the one may have started the other before it was in the group. */
  #limit(processId: number | undefined): void {
    try {
      if (processId !== undefined) {
        this.#group.add(processId);
      }
    } catch {
      // It has ended, which is told elsewhere.
    }
  }

  #weigh(): void {
    const { rssMaxBytes } = this.#options;
    const rssBytes = this.rssBytes() ?? 0;
    if (rssBytes > rssMaxBytes) {
      this.#kill(`the worker process held ${rssBytes} bytes of memory, at most ${rssMaxBytes} are allowed`);
    } else if (this.marks.isOvergrown) {
      this.#kill("the worker process wrote too much into the file of its slice marks");
    }
  }

  #kill(verdict: string): void {
    this.#verdict ??= verdict;
    this.kill();
  }

  #gone(): void {
    running.delete(this);
    clearInterval(this.#look);
    this.marks.close();
    this.#group.remove();
  }

  #endOf(code: number | null, signal: NodeJS.Signals | null): CarrierEnd {
    if (this.#verdict !== undefined) {
      return { message: this.#verdict, isKilled: true };
    }
    // `unshare` would end as its child did, but cannot by SIGKILL, and has no standard error to say so on.
    const how = signal === "SIGPIPE" && this.#options.confinement.isNested ? "SIGKILL" : signal;
    const complaint = this.#complaint === "" ? "" : `: ${this.#complaint}`;
    return {
      message: `the worker process ended with ${how ?? `code ${code}`}${complaint}`,
      isKilled: !OWN_SIGNALS.has(how),
    };
  }
}

/** @throws when there are no pipes for it */
function start({ program, confinement, number }: ProcessOptions, marks: number): ChildProcess {
  const [command = "", ...args] = [...confinement.command(number), ...program];
  const user = confinement.userOf(number);
  const child = spawn(command, args, {
    env: {},
    cwd: "/",
    stdio: ["pipe", "ignore", "pipe", "pipe", "pipe", marks],
    ...(user !== undefined && { uid: user, gid: user }),
  });
  // Without free descriptors Node makes no pipes, whatever its declarations say, and tells why in an event only.
  if ((child.stdio as unknown) === undefined) {
    child.once("error", () => {});
    throw new Error("the system has no pipe to give");
  }
  return child;
}

function onlyChild(parent: number | undefined): number | undefined {
  try {
    const first = readFileSync(`/proc/${parent}/task/${parent}/children`, "latin1").trim().split(" ")[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}
