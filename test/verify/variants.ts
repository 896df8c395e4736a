import type { Mode } from "../../state/logbook/index.ts";
import { type Deployment, startOne, startSeparate } from "./deployment.ts";

export interface Variant {
  readonly name: string;
  readonly what: string;
  /** The protocol of all objects; unsafe promises nothing that a kill leaves. */
  readonly protocol: Mode;
  /** Instead of one protocol for ever: switched between the two Halfmoon protocols again and again. */
  readonly switches: boolean;
  /** @param flags  for every process */
  start(folder: string, flags: readonly string[]): Promise<Deployment>;
}

function one(name: string, what: string, flags: readonly string[], other: Partial<Variant> = {}): Variant {
  const start: Variant["start"] = (folder, all) => startOne(folder, [...all, ...flags]);
  return { name, what, protocol: "halfmoon-read", switches: false, start, ...other };
}

export const VARIANTS: readonly Variant[] = [
  one("default", "one process with the default options", []),
  one("halfmoon-write", "the protocol whose writes are log-free", [], { protocol: "halfmoon-write" }),
  one("boki", "the symmetric protocol", [], { protocol: "boki" }),
  one("switching", "objects change from one Halfmoon protocol to the other and back while programs run", [], { switches: true }),
  one("one-worker", "all calls share one thread", ["--compute-workers", "1", "--storage-workers", "1"]),
  one("always-evict", "a call that waits gives its sandbox back and is replayed", ["--suspend-after-ms", "10"]),
  one("checkpoints", "a checkpoint whenever there is something new", ["--checkpoint-bytes", "1"]),
  {
    ...one("separate", "compute and storage in separate processes, any of which is killed", []),
    start: (_folder, flags) => startSeparate(flags),
  },
];
