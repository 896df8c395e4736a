/**
 * What must hold at the end of a run, by the final log and what clients were told.
 *
 * V1. Each instance in the log has its end. DONE is what a replay over the final log gives, every read included; what stands before a
 *     CANCEL is a beginning of that.
 * V2. A key has one instance, and every answer under it is that instance's DONE. Without a key a request that was answered has one
 *     instance at most, and one that was not answered too.
 * V3. An answer showed nothing that was not durable when it left (F8), and nothing older than what was answered before it was asked
 *     (F29).
 * V4. Of an instance of which a host said that nothing had happened nothing is in the log.
 * V5. Each version of an object is of one instance, by a step or a commit of it; sums are conserved, and what a lock protects counts
 *     without a gap.
 */
import { initOf } from "../../host/invocation/instance-record.ts";
import type { BlobName, InstanceId } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import type { Request, Told } from "./clients.ts";
import { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import { type Program, writes } from "./program.ts";
import { type Replayed, replay, replaySnapshot } from "./replay.ts";
import type { Done } from "./replay-machine.ts";

export interface Evidence {
  readonly records: readonly HistoryRecord[];
  readonly blobs: ReadonlyMap<BlobName, Uint8Array>;
  readonly requests: readonly Request[];
  /** Those with an answer, in the order of the answers. */
  readonly answered: readonly Request[];
}

export class Broken extends Error {
  /** The instances whose steps show it. */
  readonly instances: readonly InstanceId[];
  constructor(message: string, instances: readonly InstanceId[] = []) {
    super(message);
    this.instances = instances;
  }
}

export interface Judged {
  readonly log: FinalLog;
  readonly replayed: ReadonlyMap<InstanceId, Replayed>;
  /** What answered requests did that left nothing in the log. */
  readonly snapshots: ReadonlyMap<Request, readonly Done[]>;
}

/** @throws Broken */
export async function judge(evidence: Evidence): Promise<Judged> {
  const log = new FinalLog(evidence.records, evidence.blobs);
  const replayed = await replayAll(log);
  const byRequest = rootsByRequest(log);
  const snapshots = new Map<Request, readonly Done[]>();
  for (const request of evidence.requests) {
    const roots = byRequest.get(request.id) ?? [];
    if (roots.length > Math.max(1, request.key === undefined ? request.sends : 1)) {
      throw new Broken(`request ${request.id} has ${roots.length} instances`, roots);
    }
    byRequest.delete(request.id);
    const snapshot = await judgeRequest(request, roots, evidence, log, replayed);
    if (snapshot !== null) {
      snapshots.set(request, snapshot);
    }
  }
  const [stranger] = byRequest.keys();
  if (stranger !== undefined) {
    throw new Broken(`nobody asked for ${stranger}`, byRequest.get(stranger));
  }
  judgeKeys(log);
  judgeObjects(log, replayed);
  return { log, replayed, snapshots };
}

async function replayAll(log: FinalLog): Promise<Map<InstanceId, Replayed>> {
  const replayed = new Map<InstanceId, Replayed>();
  for (const tag of log.tags("i/")) {
    const instance = tag.slice(2) as InstanceId;
    try {
      replayed.set(instance, await replay(log, instance));
    } catch (error) {
      throw new Broken(error instanceof Error ? error.message : String(error), [instance]);
    }
  }
  return replayed;
}

function rootsByRequest(log: FinalLog): Map<string, InstanceId[]> {
  const roots = new Map<string, InstanceId[]>();
  for (const record of log.records) {
    if (record.kind === RecordKind.init) {
      const { id } = JSON.parse(log.bytes(initOf(record).input).toString()) as Program;
      roots.set(id, [...(roots.get(id) ?? []), record.tags[0]?.slice(2) as InstanceId]);
    }
  }
  return roots;
}

async function judgeRequest(
  request: Request,
  roots: readonly InstanceId[],
  evidence: Evidence,
  log: FinalLog,
  replayed: ReadonlyMap<InstanceId, Replayed>,
): Promise<readonly Done[] | null> {
  const { id, key, told, denied, accepted } = request;
  const known = evidence.answered.slice(0, request.answersBefore);
  const seenBefore = Math.max(0, ...known.flatMap((one) => one.told.slice(0, 1)).map((one) => doneOf(one, replayed)));
  if ((key !== undefined && told.length > 0) || accepted) {
    if (roots.length !== 1) {
      throw new Broken(`request ${id} was acknowledged and has ${roots.length} instances`, roots);
    }
  }
  const lied = denied.find((instance) => log.stream(`i/${instance}`).length > 0);
  if (lied !== undefined) {
    throw new Broken(`request ${id} was told that nothing had happened of ${lied}`, [lied]);
  }
  for (const root of roots) {
    const { initialCursor } = replayed.get(root) as Replayed;
    if (initialCursor < seenBefore) {
      throw new Broken(`F29: ${root} began at ${initialCursor}, before ${seenBefore}, which had been answered`, [root]);
    }
  }
  let snapshot: readonly Done[] | null = null;
  for (const one of told) {
    snapshot = await judgeAnswer(request, one, seenBefore, log, replayed);
  }
  return snapshot;
}

/** @returns what it did, when that is not in the log */
async function judgeAnswer(
  request: Request,
  told: Told,
  seenBefore: number,
  log: FinalLog,
  replayed: ReadonlyMap<InstanceId, Replayed>,
): Promise<readonly Done[] | null> {
  const { instance, output, trap, durable } = told;
  const stored = replayed.get(instance);
  if (stored !== undefined) {
    if (output !== stored.output || trap !== stored.trap) {
      throw new Broken(`${request.id} was answered ${output}${trap}, DONE says ${stored.output}${stored.trap}`, [instance]);
    }
    if (stored.end.seqnum > durable) {
      throw new Broken(`F8: ${request.id} was answered by ${stored.end.seqnum} when ${durable} was durable`, [instance]);
    }
    return null;
  }
  if (request.key !== undefined || (writes(request.program) && trap === "")) {
    throw new Broken(`${request.id} was answered ${output}, and ${instance} is not in the log`, [instance]);
  }
  if (trap !== "") {
    return null;
  }
  // There must be a moment between the two at which a program that only reads sees this.
  for (let cursor = durable; cursor >= seenBefore; cursor -= 1) {
    const done = await replaySnapshot(log, request.program, cursor, output);
    if (done !== null) {
      return done;
    }
  }
  throw new Broken(`F8, F29: ${request.id} was answered ${output}, true at no time from ${seenBefore} to ${durable}`, [instance]);
}

function doneOf(told: Told, replayed: ReadonlyMap<InstanceId, Replayed>): number {
  return replayed.get(told.instance)?.end.seqnum ?? 0;
}

function judgeKeys(log: FinalLog): void {
  for (const tag of log.tags("k/")) {
    if (log.stream(tag).length !== 1) {
      throw new Broken(`F30: key ${tag} has ${log.stream(tag).length} instances`);
    }
  }
}

function judgeObjects(log: FinalLog, replayed: ReadonlyMap<InstanceId, Replayed>): void {
  const values = new Map<string, InstanceId>();
  const owners = new Map(
    [...replayed].flatMap(([instance, { wrote }]) => [...wrote].map((seqnum) => [seqnum, instance] as const)),
  );
  let accounts = 0;
  for (const tag of log.tags("o/")) {
    for (const record of log.stream(tag)) {
      const instance = owners.get(record.seqnum);
      if (instance === undefined) {
        throw new Broken(`the version of ${tag} at ${record.seqnum} is of no instance`);
      }
      const text = log.text(record);
      if (text?.startsWith("c")) {
        const other = values.get(text);
        if (other !== undefined) {
          throw new Broken(`${text} was written twice`, [other, instance]);
        }
        values.set(text, instance);
      }
    }
    if (tag.startsWith("o/guarded/")) {
      const texts = log.stream(tag).map((record) => log.text(record));
      if (texts.some((text, index) => text !== `${index + 1}`)) {
        throw new Broken(`${tag} was changed by two who held its lock: ${texts}`);
      }
    }
    if (tag.startsWith("o/account/")) {
      accounts += Number(log.text(log.stream(tag).at(-1)) ?? 0);
    }
  }
  if (accounts !== 0 && ![...replayed.values()].some(({ givenUp }) => givenUp)) {
    throw new Broken(`transfers have made a sum of ${accounts}`);
  }
}
