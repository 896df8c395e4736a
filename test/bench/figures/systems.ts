/** The four systems of the figures: one function per protocol on one host, each with objects of its own. */
import type { HostOptions } from "../../support/host-process.ts";
import { prng } from "../../support/prng.ts";
import type { Bench } from "../bench-case.ts";
import { BenchHost, callBody, TENANT } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";

export const SYSTEMS = ["halfmoon-read", "halfmoon-write", "boki", "unsafe"] as const;
export type System = (typeof SYSTEMS)[number];

const FUNCTIONS = ["rw", "singleop", "noop"] as const;
/** Different inputs that the load generator draws from. */
const BODIES = 2_000;
const KEYS_PER_CALL = 100;
const POPULATING_CALLERS = 8;

export interface Objects {
  readonly count: number;
  readonly sizeBytes: number;
}

/** A host with the functions of each system. */
export async function startSystems(
  bench: Bench,
  name: string,
  systems: readonly System[],
  options: Pick<HostOptions, "flags" | "env">,
): Promise<BenchHost> {
  const host = await BenchHost.start(bench, name, options);
  for (const named of FUNCTIONS) {
    const module = await benchGuest(named);
    for (const system of named === "noop" ? [] : systems) {
      await host.request("PUT", `/v1/tenants/${TENANT}/functions/${named}-${system}?protocol=${system}`, module);
    }
    if (named === "noop") {
      await host.upload(named, module);
    }
  }
  return host;
}

/** Writes every object of a system once. */
export async function populate(host: BenchHost, system: System, objects: Objects): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < objects.count) {
      const first = next;
      next = Math.min(objects.count, first + KEYS_PER_CALL);
      const keys = Array.from({ length: next - first }, (_, i) => keyOf(system, first + i));
      await host.call(callBody(`rw-${system}`, ["0", objects.sizeBytes, ...keys].join(" ")));
    }
  };
  await Promise.all(Array.from({ length: POPULATING_CALLERS }, caller));
}

/** Calls of `rw` with so many operations each, a share of them reads, which come first; the keys are drawn uniformly. */
export function rwBodies(system: System, objects: Objects, operations: number, readRatio: number): readonly string[] {
  const reads = Math.round(operations * readRatio);
  return drawn((draw) => {
    const keys = Array.from({ length: operations }, () => keyOf(system, draw(objects.count)));
    return callBody(`rw-${system}`, [reads, objects.sizeBytes, ...keys].join(" "));
  });
}

/** Calls of `singleop` with keys drawn uniformly. */
export function singleopBodies(system: System, objects: Objects): readonly string[] {
  return drawn((draw) => {
    const keys = [keyOf(system, draw(objects.count)), keyOf(system, draw(objects.count))];
    return callBody(`singleop-${system}`, [...keys, objects.sizeBytes].join(" "));
  });
}

/** The same ones in every run. */
function drawn(make: (draw: (limit: number) => number) => string): readonly string[] {
  const random = prng(1);
  return Array.from({ length: BODIES }, () => make((limit) => random.below(limit)));
}

function keyOf(system: System, number: number): string {
  return `${system}/${number}`;
}
