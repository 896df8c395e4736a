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
import type { Layout } from "./layout.ts";
import type { HistoryRecord } from "./log-history.ts";
import type { Program } from "./machine.ts";
import { type Replayed, replay, replayUnlogged } from "./replay.ts";
import type { Done } from "./replay-objects.ts";

export interface Evidence {
  readonly records: readonly HistoryRecord[];
  readonly blobs: ReadonlyMap<BlobName, Uint8Array>;
  readonly layout: Layout;
  readonly requests: readonly Request[];
  /** Those with an answer, in the order of the answers. */
  readonly answered: readonly Request[];
}

export class Broken extends Error {
  /** The instances whose steps show it. */
  readonly instances: readonly InstanceId[];
  /** The object whose writes show it. */
  readonly key: string | undefined;
  constructor(message: string, instances: readonly InstanceId[] = [], key?: string) {
    super(message);
    this.instances = instances;
    this.key = key;
  }
}

export interface Judged {
  readonly log: FinalLog;
  readonly replayed: ReadonlyMap<InstanceId, Replayed>;
  /** What answered requests did that logged nothing. */
  readonly unlogged: ReadonlyMap<Request, readonly Done[]>;
}

/** @throws Broken */
export async function judge(evidence: Evidence): Promise<Judged> {
  const log = new FinalLog(evidence.records, evidence.blobs);
  const replayed = await replayAll(log);
  const byRequest = rootsByRequest(log);
  const unlogged = new Map<Request, readonly Done[]>();
  for (const request of evidence.requests) {
    const roots = byRequest.get(request.id) ?? [];
    if (roots.length > Math.max(1, request.key === undefined ? request.sends : 1)) {
      throw new Broken(`request ${request.id} has ${roots.length} instances`, roots);
    }
    byRequest.delete(request.id);
    const done = await judgeRequest(request, roots, evidence, log, replayed);
    if (done !== null) {
      unlogged.set(request, done);
    }
  }
  const [stranger] = byRequest.keys();
  if (stranger !== undefined) {
    throw new Broken(`nobody asked for ${stranger}`, byRequest.get(stranger));
  }
  judgeKeys(log);
  judgeObjects(log, replayed);
  return { log, replayed, unlogged };
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
    if (record.kind === RecordKind.init || record.kind === RecordKind.delayed) {
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
  let unlogged: readonly Done[] | null = null;
  for (const one of told) {
    unlogged = await judgeAnswer(request, one, seenBefore, evidence, log, replayed);
  }
  return unlogged;
}

/** @returns what it did, when that is not in the log */
async function judgeAnswer(
  request: Request,
  told: Told,
  seenBefore: number,
  { layout }: Evidence,
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
  if (request.key !== undefined) {
    throw new Broken(`${request.id} was answered ${output}, and ${instance} is not in the log`, [instance]);
  }
  if (trap !== "") {
    return null;
  }
  // There must be a moment between the two at which a program that logs nothing does this.
  const { program } = request;
  const call = { program, protocol: layout.functions[program.functionName] ?? null, output, durable };
  for (let cursor = durable; cursor >= seenBefore; cursor -= 1) {
    const done = await replayUnlogged(log, call, cursor);
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
  for (const key of log.objects) {
    for (const record of log.writesOf(key)) {
      const instance = owners.get(record.seqnum);
      if (instance === undefined && !log.isUnsafe(record)) {
        const step = log.records.find(({ seqnum }) => seqnum === record.cell?.version?.seqnum);
        const suspect = step?.tags[0]?.slice(2) as InstanceId | undefined;
        throw new Broken(`the version of ${key} at ${record.seqnum} is of no instance`, suspect ? [suspect] : [], key);
      }
      const text = log.text(record);
      if (instance !== undefined && text?.startsWith("c")) {
        const other = values.get(text);
        if (other !== undefined) {
          throw new Broken(`${text} was written twice`, [other, instance]);
        }
        values.set(text, instance);
      }
    }
    if (key.startsWith("guarded/")) {
      judgeGuarded(log, key);
    } else if (key.startsWith("count/")) {
      judgeCounter(log, key);
    }
  }
  judgeAccounts(log, replayed);
}

/** What a lock protects, as long as nobody broke it, and nothing is done twice. */
function judgeGuarded(log: FinalLog, key: string): void {
  const texts = log.writesOf(key).map((record) => log.text(record));
  const isBroken = log.stream(`h/lock of ${key}`).some(({ kind }) => kind === RecordKind.lockBroken);
  if (texts.some((text, index) => text !== `${index + 1}`) && !isBroken && !isUnsafe(log, key)) {
    throw new Broken(`${key} was changed by two who held its lock: ${texts}`, [], key);
  }
}

/** An update counts only if nobody came between, under every protocol; of transactions not all promise that. */
function judgeCounter(log: FinalLog, key: string): void {
  if (log.writesOf(key).some((record) => log.isCommitted(record))) {
    return;
  }
  let before = 0;
  for (const record of log.writesOf(key)) {
    const text = log.text(record);
    if (text !== null && text !== `${before + 1}`) {
      throw new Broken(`F14: ${key} was ${before}, and then ${text} at ${record.seqnum}`, [], key);
    }
    before = Number(text ?? 0);
  }
}

function isUnsafe(log: FinalLog, key: string): boolean {
  return log.writesOf(key).some((record) => log.isUnsafe(record));
}

function judgeAccounts(log: FinalLog, replayed: ReadonlyMap<InstanceId, Replayed>): void {
  const accounts = log.objects.filter((key) => key.startsWith("account/"));
  const sum = accounts.reduce((total, key) => total + Number(log.text(log.writesOf(key).at(-1)) ?? 0), 0);
  const isExact = !accounts.some((key) => isUnsafe(log, key));
  if (sum !== 0 && isExact && ![...replayed.values()].some(({ givenUp }) => givenUp)) {
    throw new Broken(`transfers have made a sum of ${sum}`);
  }
}
