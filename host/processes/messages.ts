/** What the host and its starter say to each other (`process-starter.ts`). */
import type { ConfinementDefences } from "./confinement.ts";
import type { GroupLimits } from "./control-groups.ts";

/** What is active on this machine; part of `GET /v1/security`. */
export type Defences = ConfinementDefences & GroupLimits;

export interface ProcessLimits {
  /** What it may hold resident: the kernel's limit where it can be told to, else it is ended when it is found to hold more. */
  readonly memoryMaxBytes: number;
  /** Threads, and what starts it. */
  readonly tasksMax: number;
}

export interface ProcessRequest {
  /** For Node: its flags, and the program. */
  readonly arguments: readonly string[];
  /** Its standard input. */
  readonly input: Uint8Array;
  readonly limits: ProcessLimits;
  /** Opened for reading and writing as its descriptor 5, and taken out of its folder. */
  readonly file?: string;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The beginning of what it said on standard error. */
  readonly complaint: string;
  /** Why it was never started. */
  readonly failure?: string;
  /** It was ended for holding so much memory. */
  readonly heldBytes?: number;
}

export type ToStarter =
  /** `address` is where the host listens for the process; what comes from there begins with the token. */
  | {
      readonly kind: "start";
      readonly number: number;
      readonly address: string;
      readonly token: Uint8Array;
      readonly request: ProcessRequest;
    }
  | { readonly kind: "serves"; readonly number: number }
  | { readonly kind: "kill"; readonly number: number };

export type FromStarter =
  | { readonly kind: "open"; readonly defences: Defences }
  /** It has been started. With the host's end of the pipe that is its descriptor 4. */
  | { readonly kind: "started"; readonly number: number }
  /** Answers `serves`; without an id when it has ended. */
  | { readonly kind: "known"; readonly number: number; readonly processId: number | undefined }
  | { readonly kind: "ended"; readonly number: number; readonly end: ProcessEnd };
