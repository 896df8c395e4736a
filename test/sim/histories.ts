/**
 * The same run as its clients and functions saw it, judged without the log: only what was asked, when, and what was seen. The log
 * only says which way to try first.
 *
 * Y1. All that is done exactly once has one order that is that of every call, whatever protocols it went through. What one call does
 *     under one cursor has no order of its own, where a write that is no step is among it.
 * Y2. Objects that were never read at a cursor are as fresh as that order is: it is also that of the times of the requests.
 * Y3. Writes of an object, and updates of what is only updated, are in an order of their times under every protocol.
 * Y4. `unsafe` promises Y1 and Y2 of what was carried out once.
 */
import { type ObjectOperation, objectsModel, orderModel, type PlacedWrite } from "../support/history/objects.ts";
import { eachAlone, linearizable, type Order, sequential, sequentialInTime, type Verdict } from "../support/history/search.ts";
import type { Request } from "./clients.ts";
import type { Way } from "./final-log.ts";
import type { Program } from "./machine.ts";
import { isSpawned } from "./program.ts";
import type { Done } from "./replay-objects.ts";
import { Broken, type Evidence, type Judged } from "./verdict.ts";

interface Placed extends ObjectOperation {
  readonly seqnum: number;
  readonly way: Way;
  readonly cursor: number;
}

/** @param wasOnce  nothing was carried out twice, `unsafe` included. @throws Broken */
export function checkHistories(judged: Judged, evidence: Evidence, wasOnce: boolean): void {
  const all = historyOf(judged, evidence);
  const { log } = judged;
  const unsafe = new Set(log.objects.filter((key) => log.writesOf(key).some((record) => log.isUnsafe(record))));
  const unknown = wasOnce ? vagueKeys(judged, evidence) : unsafe;
  const history = inLogOrder(all.filter((one) => (wasOnce || one.way !== "unsafe") && !isOf(one, unknown)));
  demand("all operations", "sequential", sequential(objectsModel, history, order), history);
  const snapshots = new Set(history.filter(({ way }) => way === "halfmoon-read").map(keyOf));
  const fresh = history.filter((one) => one.way !== "halfmoon-read" && !isOf(one, snapshots));
  demand("operations on cells", "linearizable", sequentialInTime(objectsModel, fresh, order), fresh);
  const updates = onlyUpdated(history);
  const updated = eachAlone(updates, keyOf, (part) => linearizable(objectsModel, part));
  demand("updates", "linearizable", updated, updates);
  const writes = placedWrites(history);
  const written = eachAlone(
    writes,
    ({ key }) => key,
    (part) => linearizable(orderModel, part),
  );
  demand("writes", "linearizable", written, writes);
}

/** Objects of calls that failed before they said what they had read under `unsafe`. */
function vagueKeys({ replayed }: Judged, { requests }: Evidence): Set<string> {
  const keys = new Set([...replayed.values()].flatMap(({ vague }) => [...vague]));
  for (const { told, program } of requests) {
    if (told.some(({ instance, trap }) => trap !== "" && !replayed.has(instance))) {
      addKeys(program, keys);
    }
  }
  return keys;
}

function addKeys({ steps }: Program, keys: Set<string>): void {
  for (const { key = "", otherKey = "", programs = [] } of steps) {
    keys.add(key).add(otherKey);
    for (const part of programs) {
      addKeys(part, keys);
    }
  }
}

/** A write that is no step may be seen late, and what is read at the cursor is as of before it. */
const order: Order<Placed> = {
  mayOvertake: (earlier, later) => earlier.cursor === later.cursor && keyOf(earlier) !== keyOf(later) && isLogFree(earlier),
};

function isLogFree({ way, action }: Placed): boolean {
  return way === "halfmoon-write" && action.kind === "write";
}

/** Whether it tells something of one of these objects: a list of all. */
function isOf({ action }: Placed, keys: ReadonlySet<string>): boolean {
  return action.kind === "list" ? [...keys].some((key) => key.startsWith(action.prefix)) : keys.has(action.key);
}

function demand(of: string, what: string, verdict: Verdict, history: readonly (Placed | PlacedWrite)[]): void {
  if (verdict.kind !== "possible") {
    const lines = history.map((one) => JSON.stringify(one));
    const odd = JSON.stringify(firstIllegal(history));
    throw new Broken(`${of} are not ${what}: ${JSON.stringify(verdict)}, in the log's order not ${odd}\n  ${lines.join("\n  ")}`);
  }
}

/** The first that cannot be done after those before it. */
function firstIllegal(history: readonly (Placed | PlacedWrite)[]): unknown {
  let state = objectsModel.initial;
  for (const one of history) {
    const next = "action" in one ? objectsModel.apply(state, one) : state;
    if (next === undefined) {
      return one;
    }
    state = next;
  }
  return null;
}

function historyOf({ replayed, unlogged }: Judged, { requests }: Evidence): Placed[] {
  const byId = new Map(requests.map((request) => [request.id, request]));
  const history: Placed[] = [];
  const add = (instance: string, request: Request, done: readonly Done[], outlivesIt = false) => {
    const isAnswered = request.state === "answered" && !outlivesIt;
    // What nobody got an answer of, and called functions, are in no client's order.
    const process = isAnswered && instance === request.id ? `client ${request.client}` : instance;
    const returnMs = isAnswered ? request.endedMs : Number.POSITIVE_INFINITY;
    history.push(...done.map((one) => ({ process, callMs: request.sentMs, returnMs, ...one })));
  };
  const ends = new Map([...replayed.values()].map(({ program, end }) => [program.id, end.seqnum]));
  for (const [instance, { program, done, end }] of replayed) {
    const request = byId.get(program.id.split(".")[0] ?? "");
    if (request !== undefined) {
      // Calls of a function that was cancelled go on, as spawned ones do.
      const outlivesIt = isSpawned(program) || end.seqnum > (ends.get(request.id) ?? 0);
      add(program.id === request.id ? request.id : instance, request, done, outlivesIt);
    }
  }
  for (const [request, done] of unlogged) {
    add(request.id, request, done);
  }
  return history;
}

/** By seqnum, where that is not against the order of a process: that is of its calls, and in a call that of its actions. */
function inLogOrder(history: readonly Placed[]): Placed[] {
  const queues = [...Map.groupBy(history, ({ process }) => process).values()].map((queue) =>
    overtaken(queue.toSorted((a, b) => a.callMs - b.callMs)),
  );
  const ordered: Placed[] = [];
  for (;;) {
    let first: Placed[] | undefined;
    for (const queue of queues) {
      const front = queue[0];
      if (front !== undefined && (first?.[0] === undefined || front.seqnum < first[0].seqnum)) {
        first = queue;
      }
    }
    const next = first?.shift();
    if (next === undefined) {
      return ordered;
    }
    ordered.push(next);
  }
}

/** By seqnum, where what comes later may overtake. */
function overtaken(queue: readonly Placed[]): Placed[] {
  const sorted: Placed[] = [];
  for (const one of queue) {
    let at = sorted.length;
    for (let before = sorted[at - 1]; before !== undefined; before = sorted[at - 1]) {
      if (before.seqnum <= one.seqnum || !order.mayOvertake(before, one)) {
        break;
      }
      at -= 1;
    }
    sorted.splice(at, 0, one);
  }
  return sorted;
}

const keyOf = ({ action }: ObjectOperation): string => ("key" in action ? action.key : "");

/** Updates of objects that are changed by nothing else. */
function onlyUpdated(history: readonly Placed[]): Placed[] {
  const written = new Set(history.filter(({ action }) => action.kind === "write").map(keyOf));
  return history.filter((one) => one.action.kind === "update" && !written.has(keyOf(one)));
}

function placedWrites(history: readonly Placed[]): PlacedWrite[] {
  const counts = new Map<string, number>();
  const writes = history.filter(({ action }) => action.kind === "write" || action.kind === "update");
  return writes
    .toSorted((a, b) => a.seqnum - b.seqnum || a.cursor - b.cursor)
    .map((one) => {
      const key = keyOf(one);
      const position = counts.get(key) ?? 0;
      counts.set(key, position + 1);
      const { process, callMs, returnMs } = one;
      return { process, callMs, returnMs, key, position };
    });
}
