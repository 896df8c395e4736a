/** Everything that the guest of one attempt may ask for. Made at its first operation: many calls have none. */
import { NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import type { Drafts } from "../../state/objects/index.ts";
import { ScopedObjects, type StepStream } from "../../state/protocols/index.ts";
import type { RegionSession } from "../../state/regions/index.ts";
import { HeldLocks, type InheritedTransaction, type TransactionEffects, Transactions } from "../../state/txn/index.ts";
import { type Artefact, usesThreads } from "../modules/artefact.ts";
import type { MovedChild } from "../offload/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptEnd } from "./attempt.ts";
import { AttemptWait, type Parker } from "./attempt-wait.ts";
import { Callees } from "./callee.ts";
import { ChildOperations } from "./child-operations.ts";
import type { InstanceRunner, InstanceSpec, InvocationContext, Trace } from "./context.ts";
import { FileOperations } from "./file-operations.ts";
import { isOfWorld } from "./instance-record.ts";
import { LockOperations } from "./lock-operations.ts";
import type { LockTurns } from "./lock-turns.ts";
import { LogOperations } from "./log-operations.ts";
import { MpiOperations, type WorldEnd } from "./mpi-operations.ts";
import { ObjectOperations } from "./object-operations.ts";
import { OutsideOperations } from "./outside-operations.ts";
import { PartOperations } from "./part-operations.ts";
import { RegionOperations } from "./region-operations.ts";
import { SideModuleOperations } from "./side-module-operations.ts";
import { SleepOperations } from "./sleep-operations.ts";
import { SpawnOperations } from "./spawn-operations.ts";
import { StateMeter } from "./state-meter.ts";
import { TransactionOperations } from "./transaction-operations.ts";
import type { Worlds } from "./world.ts";

export interface OperationParts {
  readonly context: InvocationContext;
  readonly runner: InstanceRunner;
  readonly spec: InstanceSpec;
  readonly shard: Shard;
  readonly steps: StepStream;
  /** Where the attempt stores values and inputs; ended by who runs it, after DONE. */
  readonly drafts: Drafts;
  readonly trace: Trace;
  /** Of all attempts of the run: who waits keeps its place. */
  readonly lockTurns: LockTurns;
  readonly parker: Parker;
  readonly artefact: Artefact;
  /** The caller's transaction that the function was called in. */
  readonly inherited: InheritedTransaction | null;
  /** Calls that the attempt has started at another node. */
  readonly started: readonly MovedChild[];
  /** What it has written there. */
  readonly writtenBytes: number;
  /** What a function has that uses memory regions. */
  readonly regions: RegionSession | null;
  /** With MPI, of this process. */
  readonly worlds: Worlds;
  /** Ends the attempt. */
  readonly fail: (error: NeapError) => void;
}

export class Operations {
  readonly #transactions: Transactions;
  readonly #meter: StateMeter;
  readonly #objects: ObjectOperations;
  readonly #files: FileOperations;
  readonly #sideModules: SideModuleOperations;
  readonly #transacting: TransactionOperations;
  readonly #logs: LogOperations;
  readonly #wait: AttemptWait;
  readonly #held: HeldLocks;
  readonly #locks: LockOperations;
  readonly #children: ChildOperations;
  readonly #spawns: SpawnOperations;
  readonly #sleep: SleepOperations;
  readonly #outside: OutsideOperations;
  readonly #parts: PartOperations;
  readonly #regions: RegionOperations | null;
  readonly #mpi: MpiOperations;

  constructor(parts: OperationParts) {
    const { context, runner, spec, shard, steps, drafts, trace, lockTurns, parker, artefact, inherited, started, regions } =
      parts;
    const { offload, timers, limits, nodeName } = context;
    const { init, tenant, instance } = spec;
    const held = new HeldLocks(steps, init.root === "" ? instance : init.root);
    const plain = new ScopedObjects(steps, drafts, init);
    const transactions = new Transactions({ plain, steps, blobs: drafts, locks: held, timers, inherited });
    // Run again, a guest that uses regions would do to them again what it has done, threads would go through another order, and messages
    // between ranks would be gone.
    const runsOnce = regions !== null || usesThreads(artefact) || isOfWorld(init);
    const waitMaxMs = runsOnce ? init.wallTimeMs : Math.min(init.wallTimeMs / 2, limits.suspendAfterMs);
    const wait = new AttemptWait(timers, waitMaxMs, parker);
    const callees = new Callees({ context, shard, drafts, tenant, steps, caller: init });
    const meter = new StateMeter(init.stateMaxBytes, parts.writtenBytes);
    this.#transactions = transactions;
    this.#meter = meter;
    this.#wait = wait;
    this.#held = held;
    this.#objects = new ObjectOperations(transactions, drafts, init.objectMaxBytes, meter, trace.moved);
    this.#files = new FileOperations(transactions);
    const prepare = (read: () => Promise<ArrayBuffer | null>) => context.functions.sideModule(tenant, read, artefact.preemptible);
    this.#sideModules = new SideModuleOperations(transactions, prepare, trace.moved);
    this.#transacting = new TransactionOperations(steps, transactions);
    this.#logs = new LogOperations(steps, init.wallTimeMs, meter);
    this.#locks = new LockOperations({ shard, tenant, steps, held, transactions, turns: lockTurns, wait });
    this.#children = new ChildOperations({
      context,
      runner,
      shard,
      drafts,
      tenant,
      steps,
      transactions,
      caller: init,
      trace,
      callees,
      wait,
      started,
    });
    this.#spawns = new SpawnOperations({ context, runner, shard, tenant, steps, callees });
    this.#sleep = new SleepOperations(steps, context, wait);
    const { wallTimeMs } = init;
    this.#outside = new OutsideOperations({ context, shard, drafts, tenant, steps, transactions, wallTimeMs });
    this.#parts = new PartOperations({ offload, tenant, steps, transactions, artefact, init, meter, trace, nodeName });
    this.#regions =
      regions === null
        ? null
        : new RegionOperations({
            session: regions,
            steps,
            transactions,
            blobs: drafts,
            objectMaxBytes: init.objectMaxBytes,
            meter,
            wait,
            time: context,
            moved: trace.moved,
          });
    const { worlds, fail } = parts;
    this.#mpi = new MpiOperations({ worlds, children: this.#children, steps, init, instance, wait, fail });
  }

  /** The children that were started bound to the attempt. */
  get bound(): readonly InstanceId[] {
    return this.#children.bound;
  }

  /** What the attempt has started, by handle. */
  get started(): readonly MovedChild[] {
    return this.#children.started;
  }

  get writtenBytes(): number {
    return this.#meter.writtenBytes;
  }

  /** Whether all that the attempt has here can be told to another node: locks, open transactions and answers from outside cannot. */
  get mayMove(): boolean {
    return this.#transactions.open === null && this.#held.count === 0 && !this.#outside.keepsAnswer;
  }

  /** Whether the guest waits for a time, a call or a lock. */
  get isWaiting(): boolean {
    return this.#wait.isWaiting;
  }

  /** How the world has come out that the attempt was a rank of; null: of none. After the attempt's end. */
  endWorld(end: AttemptEnd): Promise<WorldEnd | null> {
    return this.#mpi.end(end);
  }

  /** What the attempt did in the caller's transaction; null when it was called outside of one. */
  effects(): TransactionEffects | null {
    return this.#transactions.effects();
  }

  perform(operation: number, args: Uint8Array): Promise<OperationReply> {
    return (
      this.#objects.perform(operation, args) ??
      this.#files.perform(operation, args) ??
      this.#sideModules.perform(operation, args) ??
      this.#logs.perform(operation, args) ??
      this.#children.perform(operation, args) ??
      this.#spawns.perform(operation, args) ??
      this.#sleep.perform(operation, args) ??
      this.#transacting.perform(operation, args) ??
      this.#locks.perform(operation, args) ??
      this.#outside.perform(operation, args) ??
      this.#parts.perform(operation, args) ??
      this.#regions?.perform(operation, args) ??
      this.#mpi.perform(operation, args) ??
      Promise.reject(new NeapError("INTERNAL", `unknown operation ${operation}`))
    );
  }

  /** An operation under way that waits ends soon; any other goes on to its end. */
  breakOff(): void {
    this.#logs.close();
    this.#wait.close();
  }

  /** The attempt was stopped: an operation under way ends soon. */
  stop(): void {
    this.#logs.close();
    this.#wait.close();
    this.#outside.close();
    this.#parts.close();
  }

  /** After the attempt's end. */
  close(): Promise<void> {
    return this.#objects.close();
  }
}
