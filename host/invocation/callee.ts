/** What a guest calls: the version of a function at the caller's cursor, and the INIT of the call. */
import { hasCode } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { SEED_BYTES } from "../../state/logbook/step-record.ts";
import type { Drafts } from "../../state/objects/index.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { callTarget } from "../modules/entry-points/index.ts";
import { environmentText } from "../modules/environment.ts";
import type { FunctionVersion } from "../modules/functions.ts";
import type { InvocationContext } from "./context.ts";
import type { InstanceInit } from "./instance-record.ts";
import { fromPayload, toPayload } from "./payloads.ts";

/** Where a call is among others, and when it begins. */
export type Place = Pick<InstanceInit, "bound" | "notBeforeMs" | "depth" | "root" | "transaction" | "modeCursor">;

export class Callees {
  readonly #context: InvocationContext;
  readonly #shard: Shard;
  readonly #drafts: Drafts;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #caller: InstanceInit;

  constructor(options: {
    context: InvocationContext;
    shard: Shard;
    drafts: Drafts;
    tenant: LogBookId;
    steps: StepStream;
    caller: InstanceInit;
  }) {
    this.#context = options.context;
    this.#shard = options.shard;
    this.#drafts = options.drafts;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#caller = options.caller;
  }

  /**
   * The function at the cursor, so that every replay calls the same version or none; null when there is none. Its name is what is
   * called: with an entry point, if one is named.
   */
  async resolve(target: string): Promise<FunctionVersion | null> {
    this.#steps.touch();
    const { cursor, reads } = this.#steps;
    const functionName = callTarget(target)?.functionName ?? target;
    if (reads.isNoFunction(functionName, cursor)) {
      return null;
    }
    try {
      const { version } = await this.#context.functions.resolve(this.#shard, this.#tenant, functionName, cursor);
      this.#steps.consulted(version.seqnum);
      return { ...version, name: target };
    } catch (error) {
      if (hasCode(error, "UNKNOWN_FUNCTION") || hasCode(error, "BAD_NAME")) {
        this.#steps.read({ kind: "noFunction", name: functionName }, cursor);
        return null;
      }
      throw error;
    }
  }

  /** @throws OVERLOADED  the tenant has as many calls under way as it may */
  checkMayBegin(count = 1): void {
    this.#context.tenancy.of(this.#tenant).checkMayBegin(count);
  }

  async init(version: FunctionVersion, input: Uint8Array, place: Place): Promise<InstanceInit> {
    const { limits, tenancy } = this.#context;
    const own = tenancy.of(this.#tenant).callLimits(version.limits);
    return {
      ...(await this.#own(input)),
      functionName: version.name,
      module: version.hash,
      tableIndex: null,
      environment: environmentText(version.environment),
      ...own,
      callMaxDepth: Math.min(this.#caller.callMaxDepth, own.callMaxDepth),
      retry: version.retry ?? limits.retry,
      protocol: version.protocol,
      ...place,
    };
  }

  /** Of a call of the caller's own module, as it is pinned, at a function of its table. */
  async initAt(tableIndex: number, input: Uint8Array, place: Place): Promise<InstanceInit> {
    return { ...(await this.#own(input)), tableIndex, ...place };
  }

  /** Of another rank of the caller's world: the same call, but for the rank. */
  async initRank(rank: number, place: Place): Promise<InstanceInit> {
    const { input, tableIndex, worldSize } = this.#caller;
    return { ...(await this.#own(await fromPayload(this.#shard.blobs, input))), tableIndex, worldSize, rank, ...place };
  }

  /** The caller's, with what each call has of its own. */
  async #own(input: Uint8Array): Promise<InstanceInit> {
    const { random, clock } = this.#context;
    return {
      ...this.#caller,
      input: await toPayload(this.#drafts, input),
      callId: 0,
      worldSize: 0,
      rank: 0,
      startedMs: Math.max(clock.now(), this.#steps.pins.timeMs),
      childSeed: random.bytes(SEED_BYTES),
    };
  }
}
