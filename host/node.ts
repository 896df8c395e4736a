/** Builds a node of the role that the configuration names, and takes it down again. */
import { NeapError } from "../state/errors.ts";
import type { LocalShard, Shard, ShardSource } from "../state/logbook/index.ts";
import { ObjectStore } from "../state/objects/index.ts";
import { ScopeChoices } from "../state/protocols/index.ts";
import { Regions } from "../state/regions/index.ts";
import { ClusterServer, connectToOwner, type OwnerConnection, type Peer } from "../state/remote/index.ts";
import { abiTable, importsUrl } from "./abi/index.ts";
import type { ResolvedConfig } from "./config/index.ts";
import { Broker, type Network } from "./egress/index.ts";
import { checkPort, createHttpServer, type HttpServer, type SecurityStatus } from "./http/index.ts";
import { createInvocations, type InvocationService, PartHost } from "./invocation/index.ts";
import { openIsolation, type TenantProcesses } from "./isolation.ts";
import { FunctionRegistry, RETRY_CAUSES } from "./modules/index.ts";
import {
  Admission,
  boundedPool,
  type CallTaker,
  DataMoves,
  Evacuation,
  HeldStates,
  type MachineLoad,
  Moves,
  NO_OTHER_NODES,
  NodeDirectory,
  type NodeLoad,
  nodesBehind,
  Offload,
  type OtherNodes,
  type OwnNode,
  remoteStoragePool,
  remoteTaker,
  STORAGE_NODE,
  type StoragePool,
  serveLoad,
  serveMoves,
  serveParts,
} from "./offload/index.ts";
import { type Close, openOwnShard, type ShardParts } from "./own-shard.ts";
import { ProcessStarter } from "./processes/index.ts";
import { createSandboxPool, MemoryBudget, type SandboxPool, sandboxCeiling } from "./sandbox/index.ts";
import { ALL_OTHERS, Tenancy } from "./tenancy/index.ts";

export interface NodeParts extends ShardParts {
  readonly machineLoad: () => MachineLoad;
  /** What this process may use of the machine's memory. */
  readonly memoryBytes: number;
  /** Files and sockets that this process may have open at once. */
  readonly openFilesMax: number;
  readonly network: Network;
}

export interface Node {
  readonly url: string;
  /** Where compute nodes connect; null when there is no cluster key. */
  readonly clusterUrl: string | null;
  readonly epoch: number;
  /** As at GET /v1/security. */
  readonly security: SecurityStatus;
  /** No new calls, the grace time for those that run, everything flushed. */
  stop(): Promise<void>;
}

const OWNER_TIMEOUT_MS = 10_000;
/** What answers may take after the grace time. */
const ANSWERS_MS = 500;
/** Above it sandboxes that lie ready are no longer worth their memory. */
const MEMORY_SHORT_SHARE = 0.95;
const ARTEFACT_CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Resolves when the node takes calls. Whatever was opened is closed again if it rejects.
 * @throws PORT_IN_USE, BAD_OPTION, JOURNAL_LOCKED, FOLDER_UNUSABLE, JOURNAL_DAMAGED, DISK_FULL, CLUSTER_KEY_REFUSED, OWNER_UNAVAILABLE
 */
export async function startNode(config: ResolvedConfig, parts: NodeParts): Promise<Node> {
  const closes: Close[] = [];
  try {
    return await new NodeBuilder(config, parts, closes).build();
  } catch (error) {
    await closeAll(closes);
    throw error;
  }
}

/** Before the data folder is opened: a start that fails for a port adds no epoch, and runs no call that was unfinished (F27). */
async function checkPorts({ host, port, role, cluster }: ResolvedConfig): Promise<void> {
  await checkPort("--port", host, port);
  if (role !== "compute" && cluster.key !== null) {
    await checkPort("--cluster-listen-port", cluster.listenHost, cluster.listenPort);
  }
}

async function closeAll(closes: Close[]): Promise<void> {
  for (const close of closes.splice(0).reverse()) {
    await close();
  }
}

/** Where a node is in its cluster. */
interface Placement {
  readonly clusterUrl: string | null;
  readonly epoch: () => number;
  /** Where calls may go on that this node does not bring to their end. */
  readonly others: OtherNodes;
}

class NodeBuilder {
  readonly #config: ResolvedConfig;
  readonly #parts: NodeParts;
  readonly #closes: Close[];
  readonly #tenancy: Tenancy;
  #starter: ProcessStarter | undefined;
  #isolation: TenantProcesses | undefined;
  /** Where this process listens. */
  readonly #ownPorts: number[];
  /** Of all pools. */
  readonly #memory: MemoryBudget;

  constructor(config: ResolvedConfig, parts: NodeParts, closes: Close[]) {
    this.#config = config;
    this.#parts = parts;
    this.#closes = closes;
    this.#tenancy = new Tenancy(config.tenants, config.limits);
    this.#memory = new MemoryBudget({
      maxBytes: Math.floor(config.sandboxes.memoryShare * parts.memoryBytes),
      keepAliveMs: config.sandboxes.keepAliveMs,
      isShort: () => parts.machineLoad().memoryShare > MEMORY_SHORT_SHARE,
    });
    parts.metrics.gauge("neap_sandbox_memory_bytes", "Memories of sandboxes that run calls.", () => this.#memory.usedBytes);
    this.#ownPorts = [config.port, config.aliasPort, config.cluster.listenPort];
  }

  async build(): Promise<Node> {
    const { config, parts } = { config: this.#config, parts: this.#parts };
    await checkPorts(config);
    const starter = await ProcessStarter.open();
    this.#starter = starter;
    this.#closes.push(() => starter.close());
    this.#isolation = await openIsolation(config, importsUrl, { ...parts, starter }, this.#memory);
    this.#closes.push(() => this.#isolation?.close());
    return this.#config.role === "compute" ? this.#computeNode() : this.#ownerNode();
  }

  /** Roles `all` and `storage`: the journal is here. */
  async #ownerNode(): Promise<Node> {
    const { config, parts } = { config: this.#config, parts: this.#parts };
    const { shard, journalId } = await openOwnShard(config, parts, this.#closes);
    const storagePool = await this.#pool("storage", config.workers.storage);
    const pool = config.role === "all" ? await this.#pool("compute", config.workers.compute) : storagePool;
    await this.#noteTenants(shard);
    const functions = this.#functions(shard, pool);
    const admission = new Admission(config.offload, parts.machineLoad);
    const tenancy = this.#tenancy;
    const partHost = (session: Shard) =>
      new PartHost({
        name: `storage@${config.nodeName}`,
        shard: session,
        functions,
        pool: storagePool,
        admission,
        log: parts.log,
        tenancy,
        runAhead: config.protocols.runAhead,
      });
    const own = this.#ownNode(pool);
    const directory = new NodeDirectory(own, parts.timers);
    const clusterUrl = await this.#cluster(shard, journalId, partHost, directory);
    const beside = config.role === "all" ? this.#bounded(partHost(shard)) : null;
    const invocations = this.#invocations(shard, functions, pool, { parts: () => beside, moves: () => null });
    own.begin(invocations);
    const others = directory.nodes;
    return this.#serve(shard, functions, invocations, pool, { clusterUrl, epoch: () => shard.epoch, others });
  }

  /** Role `compute`: the journal is behind a socket, and nothing that matters is here. */
  async #computeNode(): Promise<Node> {
    const { cluster, nodeName, workers } = this.#config;
    const { timers, random, log } = this.#parts;
    if (cluster.storageUrl === null || cluster.key === null) {
      throw new NeapError("BAD_OPTION", "a compute node needs --storage-url and a cluster key");
    }
    const owner: OwnerConnection = connectToOwner({ url: cluster.storageUrl, key: cluster.key, nodeName, timers, random, log });
    this.#closes.push(() => owner.close());
    await owner.available(OWNER_TIMEOUT_MS);
    const pool = await this.#pool("compute", workers.compute);
    const own = this.#ownNode(pool);
    const serve = (peer: Peer) => {
      serveMoves(peer, () => own.taker, HeldStates.serve(peer));
      serveLoad(peer, own);
    };
    owner.onPeer(serve);
    const connected = owner.peer();
    if (connected !== undefined) {
      serve(connected);
    }
    await this.#noteTenants(await owner.available(OWNER_TIMEOUT_MS));
    const functions = this.#functions(owner, pool);
    const storage = () => {
      const peer = owner.peer();
      return peer === undefined ? null : this.#bounded(remoteStoragePool(peer));
    };
    const storageTaker = () => {
      const peer = owner.peer();
      return peer === undefined ? null : remoteTaker(peer, STORAGE_NODE, `storage@${peer.name}`);
    };
    const invocations = this.#invocations(owner, functions, pool, { parts: storage, moves: storageTaker });
    own.begin(invocations);
    return this.#serve(owner, functions, invocations, pool, {
      clusterUrl: null,
      epoch: () => owner.current()?.epoch ?? 0,
      others: nodesBehind(() => owner.peer()),
    });
  }

  /** This node as one to which calls of others may come, from `begin` on. */
  #ownNode(pool: SandboxPool): OwnNode & { begin(invocations: InvocationService): void } {
    let begun: InvocationService | null = null;
    return {
      begin(invocations) {
        begun = invocations;
      },
      taker: {
        name: this.#name,
        take: async (call) => begun?.ofOthers.take(call) ?? { kind: "refused", reason: "the host is starting" },
      },
      ranks: {
        runRank: async (call, desk) => begun?.ofOthers.runRank(call, desk) ?? { kind: "refused", reason: "the host is starting" },
        ask: async (root, rank, what, seen, bytes) => {
          if (begun === null) {
            throw new NeapError("WORLD_LOST", "the host is starting");
          }
          return begun.ofOthers.ask(root, rank, what, seen, bytes);
        },
      },
      load: () => (begun?.takesCalls === true ? nodeLoad(pool) : null),
    };
  }

  /** For traces. */
  get #name(): string {
    return `${this.#config.role === "storage" ? "storage" : "compute"}@${this.#config.nodeName}`;
  }

  #bounded(pool: StoragePool): StoragePool {
    return boundedPool(pool, this.#parts.timers, this.#config.offload.partTimeoutMs);
  }

  async #cluster(
    shard: LocalShard,
    journalId: string,
    partHost: (session: Shard) => StoragePool,
    directory: NodeDirectory,
  ): Promise<string | null> {
    const { cluster, nodeName } = this.#config;
    const { random, timers, log } = this.#parts;
    if (cluster.key === null) {
      return null;
    }
    const { listenHost, listenPort, key } = cluster;
    const sessions = { journalId, epoch: shard.epoch, openSession: () => shard.openSession() };
    const server = await ClusterServer.start({ listenHost, listenPort, key, nodeName, shard: sessions, random, timers, log });
    this.#closes.push(() => server.close());
    this.#ownPorts.push(server.port);
    server.onPeer((peer, session) => {
      const states = HeldStates.serve(peer);
      serveParts(peer, partHost(session), states);
      serveMoves(peer, (node) => directory.taker(node), states);
      directory.join(peer);
    });
    return `ws://${listenHost}:${server.port}`;
  }

  #functions(shards: ShardSource, pool: SandboxPool): FunctionRegistry {
    return new FunctionRegistry({
      shards,
      abi: abiTable,
      tenancy: this.#tenancy,
      cacheMaxBytes: ARTEFACT_CACHE_BYTES,
      ...(this.#starter !== undefined && { starter: this.#starter }),
      isIsolated: (tenant) => this.#isolation?.isIsolated(tenant) ?? false,
      onUpload: (artefact, tenant) => pool.prepare(artefact, tenant),
    });
  }

  async #pool(kind: "compute" | "storage", workers: number): Promise<SandboxPool> {
    const { limits, role } = this.#config;
    const poolsOfProcess = role === "all" ? 2 : 1;
    const threads = await createSandboxPool({
      name: kind,
      workers,
      // Few hosts that do everything run parts beside their calls.
      startsAtOnce: kind === "compute" || role === "storage",
      importsUrl,
      clock: this.#parts.clock,
      sandboxesMax: Math.min(limits.activeMaxCalls, Math.floor(sandboxCeiling() / poolsOfProcess)),
      queueMax: limits.queuedMaxCalls,
      memory: this.#memory,
    });
    const pool = this.#isolation?.around(threads) ?? threads;
    this.#closes.push(() => pool.close());
    return pool;
  }

  /** Tenants that the log knows count from the start (H24). */
  async #noteTenants(shard: Shard): Promise<void> {
    for (const tenant of await shard.books()) {
      this.#isolation?.note(tenant);
    }
  }

  #invocations(
    source: ShardSource,
    functions: FunctionRegistry,
    pool: SandboxPool,
    storage: { readonly parts: () => StoragePool | null; readonly moves: () => CallTaker | null },
  ): InvocationService {
    const { config, parts } = { config: this.#config, parts: this.#parts };
    const { suspendAfterMs, parkedMaxBytes, objectMaxBytes } = config.limits;
    const { attemptsMax, backoffMs, backoffMaxMs } = config.recovery;
    const regions = new Regions({
      createMemory: (tenant, maxPages) => pool.createArena(tenant, maxPages),
      reaches: (tenant, memory) => pool.reaches(tenant, memory),
      limits: config.regions,
      clock: parts.clock,
      timers: parts.timers,
      onDropped: (memory) => pool.forget(memory),
    });
    parts.metrics.gauge("neap_region_tenants", "Tenants that have memory regions here.", () => regions.load.tenants);
    parts.metrics.gauge("neap_region_bytes", "Bytes of memories that hold regions.", () => regions.load.sizeBytes);
    const { allow, allowOf } = config.egress;
    const service = createInvocations({
      source,
      functions,
      tenancy: this.#tenancy,
      pool,
      regions,
      offload: new Offload(config.offload.policy, storage.parts),
      moves: new Moves({
        data: new DataMoves({ isOn: config.moves.toData, minBytes: config.moves.dataMinBytes, storage: storage.moves }),
        besideData: config.role === "storage",
        load: () => nodeLoad(pool),
        machineLoad: parts.machineLoad,
        limits: config.offload,
        count: (cause, outcome) =>
          parts.metrics
            .counter("neap_moved_calls_total", "Calls stopped in the middle to go on at another node, by cause.", {
              cause,
              outcome,
            })
            .add(),
      }),
      egress: new Broker(config.egress, {
        allow: (tenant) => allowOf.get(tenant) ?? allowOf.get(ALL_OTHERS) ?? allow,
        network: parts.network,
        timers: parts.timers,
        ownPorts: () => this.#ownPorts,
      }),
      clock: parts.clock,
      timers: parts.timers,
      random: parts.random,
      log: parts.log,
      faults: parts.faults,
      nodeName: this.#name,
      runAhead: config.protocols.runAhead,
      limits: {
        suspendAfterMs,
        parkedMaxBytes,
        objectMaxBytes,
        attemptsMax,
        retry: { attemptsMax, backoffMs, backoffMaxMs, causes: RETRY_CAUSES },
        ownerTimeoutMs: OWNER_TIMEOUT_MS,
      },
    });
    const { metrics } = parts;
    metrics.gauge("neap_parked_calls", "Calls that wait as bytes, without a sandbox.", () => service.parked.calls);
    metrics.gauge(
      "neap_parked_bytes",
      "Memory of calls that wait as bytes, or were given to other nodes and may come back.",
      () => service.parked.sizeBytes,
    );
    service.startRecovery(config.recovery.scanIntervalMs);
    this.#closes.push(() => service.drain(0));
    return service;
  }

  async #serve(
    source: ShardSource,
    functions: FunctionRegistry,
    invocations: InvocationService,
    pool: SandboxPool,
    { clusterUrl, epoch, others }: Placement,
  ): Promise<Node> {
    const { config, parts } = { config: this.#config, parts: this.#parts };
    const security = () => this.#isolation?.security() ?? ONLY_THREADS;
    const http: HttpServer = createHttpServer({
      config,
      invocations,
      functions,
      tenancy: this.#tenancy,
      objects: new ObjectStore(source, OWNER_TIMEOUT_MS),
      protocols: new ScopeChoices(source, OWNER_TIMEOUT_MS),
      status: () => ({ role: config.role, nodeName: config.nodeName, epoch: epoch(), load: pool.load }),
      security,
      log: parts.log,
      metrics: parts.metrics,
      faults: parts.faults,
      clock: parts.clock,
      connectionsMax: parts.openFilesMax / 2,
      bodiesMaxBytes: Math.floor(config.bodyMemoryShare * parts.memoryBytes),
    });
    invocations.ofOthers.shareRanks(() => nodeLoad(pool), others);
    const { url } = await http.listen();
    this.#ownPorts.push(Number(new URL(url).port));
    const evacuation = new Evacuation({
      queueMax: config.moves.evacuateQueue,
      afterMs: config.moves.evacuateAfterMs,
      timers: parts.timers,
      clock: parts.clock,
      load: () => nodeLoad(pool),
      others,
      leave: (count, takers) => invocations.evacuate(count, takers),
    });
    const stop = async () => {
      evacuation.stop();
      const answered = http.close(config.graceMs + ANSWERS_MS);
      // Without the storage node no other one gets on, either.
      await invocations.drain(config.graceMs, config.role === "compute" ? others : NO_OTHER_NODES);
      // Ends the calls that still run, so that each is answered before its connection ends.
      await pool.close();
      await answered;
      await closeAll(this.#closes);
    };
    return { url, clusterUrl, epoch: epoch(), security: security(), stop };
  }
}

function nodeLoad({ load }: SandboxPool): NodeLoad {
  const { computing, queued, workers } = load;
  return { queue: computing + queued, workers };
}

/** No tenant may get processes. */
const ONLY_THREADS: SecurityStatus = {
  isolation: "threads",
  tenants: 0,
  processes: 0,
  processRssBytes: 0,
  processesWithThreads: 0,
  processDefences: null,
  isIsolated: () => false,
  mayStartThreads: () => false,
};
