/** Decides where storage parts run and brings them there. */
import type { PartReply, PartRequest } from "./part.ts";

/**
 * `marked`: every part the guest marks is offered to the storage node. `cost`: only if the object is larger than what the part is
 * expected to move. `never`: none.
 */
export type OffloadPolicy = "marked" | "cost" | "never";

/** The way to the pool that sits beside the data: in this process or behind a socket. */
export interface StoragePool {
  /** Name of the node, for the trace. */
  readonly name: string;
  /** Runs a part there. Never rejects: a lost node is a `lost` reply. */
  run(request: PartRequest): Promise<PartReply>;
  /** The caller goes on without the part: its reply would be dropped. */
  cancel(request: PartRequest): void;
}

export interface PlacementDecision {
  readonly pool: StoragePool | null;
  readonly reason: string;
}

/** What the parts of one module have moved so far. */
interface Experience {
  movedBytes: number;
}

export class Offload {
  readonly #policy: OffloadPolicy;
  readonly #storage: () => StoragePool | null;
  readonly #experience = new Map<string, Experience>();

  /** @param storage  null when this node is the storage node's own pool, or the storage node is out of reach */
  constructor(policy: OffloadPolicy, storage: () => StoragePool | null) {
    this.#policy = policy;
    this.#storage = storage;
  }

  /**
   * @param objectBytes  asks for the size of the object the part works on, null when it does not exist; only if the decision needs it
   */
  async decide(request: {
    module: string;
    forbidden: boolean;
    objectBytes: () => Promise<number | null>;
  }): Promise<PlacementDecision> {
    if (request.forbidden) {
      return { pool: null, reason: "forbidden by the request" };
    }
    if (this.#policy === "never") {
      return { pool: null, reason: "policy never" };
    }
    const pool = this.#storage();
    if (pool === null) {
      return { pool: null, reason: "no storage pool in reach" };
    }
    if (this.#policy === "marked") {
      return { pool, reason: "marked by the function" };
    }
    const expectedBytes = this.#experience.get(request.module)?.movedBytes ?? EXPECTED_BYTES;
    const objectBytes = (await request.objectBytes()) ?? 0;
    return objectBytes > expectedBytes
      ? { pool, reason: `object of ${objectBytes} bytes, part moves about ${expectedBytes}` }
      : { pool: null, reason: `object of ${objectBytes} bytes, part would move about ${expectedBytes}` };
  }

  /** Learns what a part of this module moved, as a running mean. */
  learn(module: string, movedBytes: number): void {
    const known = this.#experience.get(module);
    if (known === undefined) {
      if (this.#experience.size >= MODULES_MAX) {
        this.#experience.clear();
      }
      this.#experience.set(module, { movedBytes });
    } else {
      known.movedBytes = Math.round(known.movedBytes * 0.8 + movedBytes * 0.2);
    }
  }
}

/** Beyond it everything is learnt anew. */
const MODULES_MAX = 10_000;
/** Before anything is known of a module: the deltas of the sample functions (12 to 28 KiB). */
const EXPECTED_BYTES = 24 * 1024;
