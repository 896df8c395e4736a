/**
 * The simulated cluster: an owner on a machine with a disk, nodes that compute, and the connections between them. All of it is the
 * real code of state/ and host/invocation; simulated are time, disk, network and guests.
 */

import { abiTable } from "../../host/abi/index.ts";
import { createInvocations, type InvocationService, PartHost } from "../../host/invocation/index.ts";
import { FunctionRegistry, RETRY_CAUSES } from "../../host/modules/index.ts";
import { Admission, boundedPool, Offload, type StoragePool, serveParts } from "../../host/offload/index.ts";
import { silentLog } from "../../host/telemetry/index.ts";
import type { Tenancy } from "../../host/tenancy/index.ts";
import { hasCode } from "../../state/errors.ts";
import { openFileJournal } from "../../state/journal/index.ts";
import {
  type ControllerOptions,
  inlineCheckpoints,
  type LocalShard,
  openLocalShard,
  type Shard,
  type ShardSource,
} from "../../state/logbook/index.ts";
import { decodeObjectValue, objectSize } from "../../state/objects/index.ts";
import type { FaultPoint, Faults } from "../../state/ports.ts";
import { Peer } from "../../state/remote/peer.ts";
import { serveShard } from "../../state/remote/shard-server.ts";
import { MemoryCheckpoints } from "../support/memory-checkpoints.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMoves } from "../support/no-moves.ts";
import { type Prng, prng } from "../support/prng.ts";
import { regionsOf } from "../support/region-memory.ts";
import type { ScriptedGuest } from "../support/scripted-guest.ts";
import { ScriptedPool } from "../support/scripted-pool.ts";
import { testTenancy } from "../support/test-tenancy.ts";
import { ComputeNode } from "./compute-node.ts";
import { Coverage, Ends } from "./coverage.ts";
import { Damage } from "./damage.ts";
import { found, MODULE } from "./founding.ts";
import { GuestMachine, type GuestPauses, OUTPUT, PROGRAM } from "./guest-machine.ts";
import type { Layout } from "./layout.ts";
import { LogHistory } from "./log-history.ts";
import type { Program } from "./machine.ts";
import { Link } from "./network.ts";
import { Outside } from "./outside.ts";
import { SimProcess, WORLD } from "./process.ts";
import { runProgram } from "./program.ts";
import type { Scheduler } from "./scheduler.ts";
import { BlobMedium, SimBlobs } from "./sim-blobs.ts";

/** Each host counts its tenants' calls for itself, and forgets them with its process. */
const newTenancy = () => testTenancy({ wallTimeMs: 20_000, outputMaxBytes: 2 ** 20, logMaxBytes: 1024 });
const PEER_LIMITS = { messageMaxBytes: 2 ** 22, heartbeatMs: 1_000 };
export const RETENTION_MS = 30 * 60_000;
const SCAN_MS = 300;
const PART_TIMEOUT_MS = 500;
const PART_SLOTS = 1;
/** Chooses by a few operations, and changes its mind at once. */
const EAGER_CONTROLLER: ControllerOptions = {
  enabled: true,
  windowMs: 200,
  dwellMs: 400,
  crossover: 0.5,
  margin: 0.1,
  operationsMin: 3,
  savingMinMs: 0,
};

export type CrashKind = "kill" | "powerCut";

/** What a run of the simulation varies besides its faults. */
export interface ClusterOptions {
  readonly computeNodes: number;
  readonly segmentBytes: number;
  readonly undurableMaxBytes: number;
  readonly garbageMin: number;
  readonly checkpointBytes: number;
  readonly guestPauses: GuestPauses;
  /** After so long a wait an instance gives its memory back (F25). */
  readonly suspendAfterMs: number;
  /** So often an attempt may be ended, by the host or with it, before its instance is parked, or given up. */
  readonly retriesMax: number;
  readonly layout: Layout;
  /** Nothing fails, nobody loses patience, nothing is collected: every operation is carried out once. */
  readonly isCalm: boolean;
}

/** A node that takes calls: the owner's host or one that computes only. */
export interface SimHost {
  readonly process: SimProcess;
  readonly source: ShardSource;
  readonly invocations: InvocationService;
  readonly pool: ScriptedPool;
}

interface Owner extends SimHost {
  readonly shard: LocalShard;
  /** The connection of each compute process. */
  readonly peers: Map<string, Peer>;
}

export class Cluster {
  readonly scheduler: Scheduler;
  readonly options: ClusterOptions;
  readonly history: LogHistory;
  readonly coverage = new Coverage();
  readonly blobs = new BlobMedium();
  readonly outside = new Outside();
  readonly links = new Set<{ readonly link: Link; readonly node: ComputeNode }>();
  readonly nodes: ComputeNode[];
  disk = new MemoryDisk();
  checkpoints = new MemoryCheckpoints();
  owner: Owner | undefined;
  /** Counts down at each fault point of the owner; at 0 it crashes right there. */
  crashAfterPoints = Number.POSITIVE_INFINITY;
  crashKind: CrashKind = "kill";
  /** Whether a bit flips in the next crash. */
  flips = false;
  #damage: Damage | undefined;
  /** Longest time that a write or flush takes. */
  diskMaxMs = 2;
  failure: Error | undefined;
  #process: SimProcess;
  #openings = 0;
  readonly #random: Prng;

  constructor(scheduler: Scheduler, seed: number, options: ClusterOptions) {
    this.scheduler = scheduler;
    this.options = options;
    this.history = new LogHistory(Object.keys(options.layout.functions).length === 0 ? null : new Ends());
    this.#random = prng(seed ^ 0xc105);
    this.#process = this.newProcess("owner#0");
    this.nodes = Array.from({ length: options.computeNodes }, (_, index) => new ComputeNode(this, `compute${index}`));
  }

  newProcess(name: string): SimProcess {
    return new SimProcess(name, this.scheduler, prng(this.#random.below(2 ** 32)));
  }

  /** The hosts that take calls now. */
  get hosts(): readonly SimHost[] {
    const hosts: SimHost[] = this.owner === undefined ? [] : [this.owner];
    for (const { host } of this.nodes) {
      if (host !== undefined) {
        hosts.push(host);
      }
    }
    return hosts;
  }

  /** Starts the owner over what the disk holds. */
  startOwner(): void {
    this.#openings += 1;
    const process = this.newProcess(`owner#${this.#openings}`);
    this.#process = process;
    void this.#open(process).catch((error: unknown) => {
      if (process.alive && !this.#isRefusedOpening(error)) {
        this.fail(error);
      }
    });
  }

  /** Ends the owner's process. @param keep  after a power cut, whether a sector that was not flushed is there */
  crashOwner(kind: CrashKind, keep: () => boolean): void {
    this.scheduler.note(`${this.#process.name} ${kind}`);
    this.coverage.add(`owner: ${kind}`);
    this.#process.alive = false;
    this.disk = kind === "kill" ? this.disk.kill() : this.disk.powerCut(keep);
    this.disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (this.flips && this.#damage === undefined) {
      this.flips = false;
      this.#damage = Damage.do(this.disk, this.history.newest(), this.#random);
      this.scheduler.note(`flipped: ${this.#damage}`);
    }
    this.checkpoints = this.checkpoints.copy();
    this.owner = undefined;
    this.crashAfterPoints = Number.POSITIVE_INFINITY;
    for (const one of this.links) {
      one.link.cut(kind === "powerCut");
    }
    this.links.clear();
    const downMs = 10 + this.#random.below(400);
    this.scheduler.at(WORLD, downMs, "owner starts", () => this.startOwner());
  }

  get ownerProcess(): SimProcess {
    return this.#process;
  }

  fail(error: unknown): void {
    this.failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** A session with the owner for a compute process; undefined while there is none to be had. */
  connect(node: ComputeNode, process: SimProcess): { peer: Peer; epoch: number } | undefined {
    const { owner } = this;
    if (owner === undefined) {
      return undefined;
    }
    const link = new Link(process, owner.process);
    const one = { link, node };
    this.links.add(one);
    const { epoch } = owner.shard;
    const log = silentLog;
    const far = new Peer(link.far, link.far, { name: process.name, epoch, timers: owner.process, log, limits: PEER_LIMITS });
    const near = new Peer(link.near, link.near, { name: "owner", epoch, timers: process, log, limits: PEER_LIMITS });
    // As the cluster server does: the next connection of a process ends the one before.
    owner.peers.get(process.name)?.close();
    owner.peers.set(process.name, far);
    const session = owner.shard.openSession();
    serveShard(far, session);
    serveParts(far, this.#partHost(owner.pool, owner.shard, session));
    void near.ended.then(() => this.links.delete(one));
    return { peer: near, epoch };
  }

  /** The layers of a host above the state. */
  host(process: SimProcess, source: ShardSource, storage: () => StoragePool | null): SimHost {
    const pool = new ScriptedPool();
    const main = (guest: ScriptedGuest) => this.#main(guest, process);
    pool.scripts.set(MODULE, { main, parts: [(guest) => this.#part(guest, process)] });
    const tenancy = newTenancy();
    const functions = functionsOf(source, tenancy);
    const invocations = createInvocations({
      source,
      functions,
      tenancy,
      pool,
      regions: regionsOf({ clock: process, timers: process }),
      moves: noMoves(),
      offload: new Offload("marked", () => {
        const far = storage();
        return far === null || this.options.isCalm ? far : boundedPool(far, process, PART_TIMEOUT_MS);
      }),
      egress: this.outside.egress(process, this.options.isCalm),
      clock: process,
      timers: process,
      random: process,
      log: silentLog,
      faults: this.#faults(process),
      nodeName: process.name,
      runAhead: true,
      limits: {
        suspendAfterMs: this.options.suspendAfterMs,
        parkedMaxBytes: 0,
        objectMaxBytes: 2 ** 20,
        attemptsMax: this.options.retriesMax,
        ownerTimeoutMs: 1_000,
        // What the nemesis does to guests is no failure of theirs: most often whoever is patient gets a result.
        retry: { attemptsMax: this.options.retriesMax, backoffMs: 50, backoffMaxMs: 1_000, causes: RETRY_CAUSES },
      },
    });
    invocations.startRecovery(SCAN_MS);
    return { process, source, invocations, pool };
  }

  /** Takes parts of the node whose session it is. */
  #partHost(pool: ScriptedPool, source: ShardSource, shard: Shard): PartHost {
    const load = { cpuShare: 0, memoryShare: 0 };
    const admission = new Admission({ slots: PART_SLOTS, cpuThreshold: 1, memoryThreshold: 1 }, () => load);
    const tenancy = newTenancy();
    return new PartHost({
      name: "storage",
      shard,
      functions: functionsOf(source, tenancy),
      pool,
      admission,
      log: silentLog,
      tenancy,
      runAhead: true,
    });
  }

  async #main(guest: ScriptedGuest, process: SimProcess): Promise<number> {
    guest.output(await this.#run(guest, process, JSON.parse(guest.input) as Program));
    return 0;
  }

  async #part(guest: ScriptedGuest, process: SimProcess): Promise<number> {
    const program = JSON.parse(guest.memory.get(PROGRAM) ?? "") as Program;
    this.coverage.add(guest.start.part === undefined ? "part: run at its caller" : "part: run at the owner");
    guest.memory.set(OUTPUT, await this.#run(guest, process, program));
    return 0;
  }

  #run(guest: ScriptedGuest, process: SimProcess, program: Program): Promise<string> {
    const woke = () => {
      const state = this.history.ends?.of(program);
      if (state === "ended" || state === "collected") {
        this.coverage.add("guest: resumed when its call had ended");
      }
      if (state === "collected") {
        this.coverage.add("guest: resumed when its call was collected");
      }
    };
    return runProgram(new GuestMachine(guest, process, this.options.guestPauses, woke), program);
  }

  #faults(process: SimProcess): Faults {
    return {
      at: (point: FaultPoint) => {
        if (process !== this.#process || !process.alive) {
          return;
        }
        this.crashAfterPoints -= 1;
        if (this.crashAfterPoints <= 0) {
          this.scheduler.note(`${process.name} crashes at ${point}`);
          this.crashOwner(this.crashKind, () => this.#random.below(2) === 0);
        }
      },
    };
  }

  async #open(process: SimProcess): Promise<void> {
    const faults = this.#faults(process);
    const { disk, checkpoints } = this;
    const journal = await openFileJournal({
      directory: disk.directory,
      disk,
      thread: false,
      segmentBytes: this.options.segmentBytes,
      defer: (run) => void this.scheduler.at(process, (process.random.below(1000) * this.diskMaxMs) / 1000, "disk", run),
      clock: process,
      timers: process,
      random: process,
      faults,
      onFailure: (error) => {
        this.scheduler.note(`${process.name} stops as the disk failed: ${String(error)}`);
        if (process.alive) {
          this.crashOwner(process.random.below(2) === 0 ? "kill" : "powerCut", () => false);
        }
      },
    });
    const blobs = new SimBlobs(this.blobs, process, journal.epoch);
    const shard = await openLocalShard({
      journal: this.history.watch(journal, process, checkpoints.last()?.position),
      blobs,
      objectSizeBytes: (record) => {
        const value = decodeObjectValue(record);
        return value === null ? 0 : objectSize(value);
      },
      clock: process,
      timers: process,
      faults,
      checkpoints: inlineCheckpoints(journal, checkpoints, faults, (error) => this.fail(error)),
      options: {
        checkpointBytes: this.options.checkpointBytes,
        retentionMs: RETENTION_MS,
        answerMs: 0,
        garbageMin: this.options.garbageMin,
        undurableMaxBytes: this.options.undurableMaxBytes,
        modes: EAGER_CONTROLLER,
      },
    });
    // One that has crashed meanwhile has seen nothing of what flipped in its crash.
    if (process.alive && this.#damage !== undefined) {
      // The observer of the journal says whether anything is lost.
      this.coverage.add("flipped bit: of no frame");
      this.#damage = undefined;
    }
    await found(shard, blobs, process, this.options.layout);
    let own: StoragePool | null = null;
    const host = this.host(process, shard, () => own);
    own = this.#partHost(host.pool, shard, shard);
    this.owner = { ...host, shard, peers: new Map() };
  }

  /** A full, failing or damaged disk may refuse an opening: the next one finds it mended. */
  #isRefusedOpening(error: unknown): boolean {
    const isFound = hasCode(error, "JOURNAL_DAMAGED") && this.#damage !== undefined;
    if (isFound) {
      this.coverage.add("flipped bit: refused");
      this.#damage?.undo(this.disk);
      this.#damage = undefined;
    }
    const refused = isFound || hasCode(error, "DISK_FULL") || hasCode(error, "EIO");
    if (refused) {
      this.crashOwner(this.#random.below(2) === 0 ? "kill" : "powerCut", () => this.#random.below(2) === 0);
    }
    return refused;
  }
}

function functionsOf(shards: ShardSource, tenancy: Tenancy): FunctionRegistry {
  return new FunctionRegistry({ shards, abi: abiTable, tenancy, cacheMaxBytes: 2 ** 20 });
}
