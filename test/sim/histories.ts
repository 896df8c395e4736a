/**
 * The same run as its clients and functions saw it, judged without the log: only what was asked, when, and what was seen. The log
 * only says which way to try first.
 *
 * Each protocol promises something else; another one is another entry of GUARANTEES.
 */
import { type ObjectOperation, objectsModel, orderModel, type PlacedWrite } from "../support/history/objects.ts";
import { eachAlone, linearizable, sequential, type Verdict } from "../support/history/search.ts";
import type { Request } from "./clients.ts";
import { isSpawned } from "./program.ts";
import type { Done } from "./replay-machine.ts";
import { Broken, type Evidence, type Judged } from "./verdict.ts";

export interface Guarantee {
  /** Of all operations together. */
  readonly operations: "sequential" | "linearizable";
  /** Of the order of writes of one object. */
  readonly writes: "linearizable" | "any";
  /** Of updates, which read and write at once. */
  readonly updates: "linearizable" | "any";
}

export const GUARANTEES = {
  /** Reads are of the instance's past, which a client's next call continues; writes and updates are one append each. */
  halfmoonRead: { operations: "sequential", writes: "linearizable", updates: "linearizable" },
} as const satisfies Record<string, Guarantee>;

interface Placed extends ObjectOperation {
  readonly seqnum: number;
}

/** @throws Broken */
export function checkHistories(judged: Judged, evidence: Evidence, guarantee: Guarantee): void {
  const history = historyOf(judged, evidence);
  const check = guarantee.operations === "sequential" ? sequential : linearizable;
  demand("all operations", guarantee.operations, check(objectsModel, history), history);
  if (guarantee.updates === "linearizable") {
    const updates = onlyUpdated(history);
    const verdict = eachAlone(updates, keyOf, (part) => linearizable(objectsModel, part));
    demand("updates", "linearizable", verdict, updates);
  }
  if (guarantee.writes === "linearizable") {
    const writes = placedWrites(history);
    const verdict = eachAlone(
      writes,
      ({ key }) => key,
      (part) => linearizable(orderModel, part),
    );
    demand("writes", "linearizable", verdict, writes);
  }
}

function demand(of: string, what: string, verdict: Verdict, history: readonly unknown[]): void {
  if (verdict.kind !== "possible") {
    const lines = history.map((one) => JSON.stringify(one));
    throw new Broken(`${of} are not ${what}: ${JSON.stringify(verdict)}\n  ${lines.join("\n  ")}`);
  }
}

function historyOf({ replayed, snapshots }: Judged, { requests }: Evidence): Placed[] {
  const byId = new Map(requests.map((request) => [request.id, request]));
  const history: Placed[] = [];
  const add = (instance: string, request: Request, done: readonly Done[], isLoose = false) => {
    const isAnswered = request.state === "answered" && !isLoose;
    // What nobody got an answer of, and called functions, are in no client's order.
    const process = isAnswered && instance === request.id ? `client ${request.client}` : instance;
    const returnMs = isAnswered ? request.endedMs : Number.POSITIVE_INFINITY;
    history.push(...done.map(({ action, seqnum }) => ({ process, callMs: request.sentMs, returnMs, action, seqnum })));
  };
  for (const [instance, { program, done }] of replayed) {
    const request = byId.get(program.id.split(".")[0] ?? "");
    if (request !== undefined) {
      add(program.id === request.id ? request.id : instance, request, done, isSpawned(program));
    }
  }
  for (const [request, done] of snapshots) {
    add(request.id, request, done);
  }
  return inLogOrder(history);
}

/** By seqnum, where that is not against the order of a process: that is of its calls, and in a call that of its actions. */
function inLogOrder(history: readonly Placed[]): Placed[] {
  const queues = [...Map.groupBy(history, ({ process }) => process).values()].map((queue) =>
    queue.toSorted((a, b) => a.callMs - b.callMs),
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
    .toSorted((a, b) => a.seqnum - b.seqnum)
    .map((one) => {
      const key = keyOf(one);
      const position = counts.get(key) ?? 0;
      counts.set(key, position + 1);
      const { process, callMs, returnMs } = one;
      return { process, callMs, returnMs, key, position };
    });
}
