/**
 * Stands between a guest and its imports: decides when the guest goes on, and that nothing gets through once the call has ended.
 *
 * 1. The first error that an import throws ends the call: every later import throws the same, whatever the guest catches (H3).
 * 2. Right before the guest goes on after a suspension its slice is marked (H7).
 * 3. A call that shall be stopped in the middle is stopped here, and goes on here (F22).
 * 4. A call whose slices have taken its CPU time is ended at its next import; one in a long slice by the watchdog.
 * 5. A preemptible guest that gives way goes on in a later turn of the message loop. One whose call has ended traps instead: that is
 *    what no guest can catch.
 * 6. A guest whose imports are answered at once passes through the message loop every 64 imports, or 1 ms (H4).
 */
import { InvariantBroken, invariant } from "../../../state/errors.ts";
import type { GuestImport } from "../guest.ts";
import type { Freezer } from "./freezer.ts";
import { cpuTimeText, GuestKill } from "./guest-call.ts";
import type { SliceClock } from "./slice-clock.ts";
import type { ThreadClock } from "./thread-clock.ts";

const AT_ONCE_MAX = 64;
const AT_ONCE_MAX_MS = 1;

/** What the gate needs of the worker's message loop. */
export interface MessageLoop {
  /** Counts its rounds. */
  readonly turn: number;
  /** Runs `resume` in the next round. */
  onNextTurn(resume: () => void): void;
  readonly clock: ThreadClock;
  /** Runs `resume` when it is its turn among all that have given way, and others had theirs. */
  onOwnTurn(resume: () => void): void;
}

/** What the guest waits in. */
interface Suspended {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** What is as good as any other result of the import's type. */
  readonly nothing: number | bigint;
}

export class ImportGate {
  /** What ended the call; undefined while it may go on. */
  ending: unknown;
  /** What the call may have. */
  cpuTimeMs = 0;
  /** Operations that the suspending import which was entered last has sent. */
  operations = 0;
  /** Null: calls here cannot be stopped. */
  freezer: Freezer | null = null;
  /** Whether the guest is where a call can be stopped. */
  readonly #mayFreeze: () => boolean;
  #suspended: Suspended | undefined;
  readonly #loop: MessageLoop;
  readonly #clock: SliceClock;
  readonly #startSlice: () => void;
  /** Times the guest was resumed in this turn of the message loop, and since when. */
  #burst = 0;
  #burstTurn = -1;
  #burstStartMs = 0;

  constructor(loop: MessageLoop, clock: SliceClock, mayFreeze: () => boolean) {
    this.#loop = loop;
    this.#clock = clock;
    this.#mayFreeze = mayFreeze;
    this.#startSlice = () => clock.start();
  }

  /** An import that the guest sees return at once. */
  immediate(run: GuestImport["run"]): GuestImport["run"] {
    return (...args: never[]) => {
      this.#endOverCpuTime();
      if (this.ending !== undefined) {
        throw this.ending;
      }
      try {
        return run(...args);
      } catch (error) {
        throw this.end(error);
      }
    };
  }

  /** An import that the guest waits for. */
  suspending({ run, results }: GuestImport): WebAssembly.Suspending {
    const nothing = results?.[0] === "i64" ? 0n : 0;
    const enter = this.immediate((...args: never[]) => {
      this.operations = 0;
      const left = this.freezer?.arrive() ?? null;
      return left === null ? run(...args) : left.value;
    });
    return new WebAssembly.Suspending((...args: never[]) => {
      const result = enter(...args);
      this.#clock.stop();
      if (result instanceof Promise) {
        return new Promise((resolve, reject) => {
          const suspended = { resolve, reject, nothing };
          this.#suspended = suspended;
          result.then(
            (value) => this.#resume(value, suspended),
            (error) => {
              this.end(error);
              this.#resume(undefined, suspended);
            },
          );
        });
      }
      if (this.#mayGoOn()) {
        this.markNext();
        return result;
      }
      return new Promise((resolve, reject) => this.#resumeInNextTurn(result, { resolve, reject, nothing }));
    });
  }

  /** Stops the call in the import in which it waits, and whose result is not to come any more: it is entered again. */
  leave(): void {
    const suspended = this.#suspended;
    invariant(suspended !== undefined && this.freezer !== null, "a call that is stopped waits in an import");
    this.#suspended = undefined;
    this.freezer.leave(null);
    this.markNext();
    suspended.resolve(suspended.nothing);
  }

  /** By which a preemptible guest gives way. Answers 0 when it may go on, 1 when it shall trap. @param givesWay  told of it */
  interrupt(givesWay: () => void): WebAssembly.Suspending {
    return new WebAssembly.Suspending(() => {
      const left = this.freezer?.arrive() ?? null;
      if (this.ending !== undefined) {
        return 1;
      }
      if (left !== null) {
        return left.value;
      }
      this.#clock.stop();
      this.#endOverCpuTime();
      givesWay();
      return new Promise((resolve) => {
        this.#loop.onOwnTurn(() => {
          this.markNext();
          if (this.ending === undefined && this.freezer?.isAsked === true && this.#mayFreeze()) {
            this.freezer.leave({ value: 0 });
          }
          resolve(this.ending === undefined ? 0 : 1);
        });
      });
    });
  }

  /** The slice starts with the next microtask: to be called right before the promise is settled that the guest waits for. */
  markNext(): void {
    queueMicrotask(this.#startSlice);
  }

  /** Lets nothing through from now on. Returns what ended the call: this error, or an earlier one. */
  end(error: unknown): unknown {
    if (error instanceof InvariantBroken) {
      queueMicrotask(() => {
        throw error;
      });
    }
    this.ending ??= error;
    return this.ending;
  }

  #endOverCpuTime(): void {
    if (this.#clock.cpuMs > this.cpuTimeMs) {
      this.end(new GuestKill("cpuTime", cpuTimeText(this.cpuTimeMs)));
    }
  }

  #resume(result: unknown, suspended: Suspended): void {
    if (!this.#mayGoOn()) {
      this.#resumeInNextTurn(result, suspended);
      return;
    }
    this.markNext();
    if (this.ending !== undefined) {
      suspended.reject(this.ending);
    } else if (this.freezer?.isAsked === true && this.#mayFreeze()) {
      this.freezer.leave({ value: result });
      suspended.resolve(suspended.nothing);
    } else {
      suspended.resolve(result);
    }
  }

  #resumeInNextTurn(result: unknown, suspended: Suspended): void {
    this.#loop.onNextTurn(() => this.#resume(result, suspended));
  }

  #mayGoOn(): boolean {
    if (this.#burstTurn !== this.#loop.turn) {
      this.#burstTurn = this.#loop.turn;
      this.#burstStartMs = this.#loop.clock.now();
      this.#burst = 0;
    }
    this.#burst += 1;
    return this.#burst <= AT_ONCE_MAX && this.#loop.clock.now() - this.#burstStartMs < AT_ONCE_MAX_MS;
  }
}
