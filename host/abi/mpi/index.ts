/** MPI between the instances of one call, module "env". See docs/guides/mpi.md and docs/decisions/0038-mpi.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import { collectives } from "./collectives.ts";
import { environment } from "./environment.ts";
import { groups } from "./groups.ts";
import { oneSided } from "./one-sided.ts";
import { pointToPoint } from "./point-to-point.ts";
import { Ranks } from "./rank.ts";
import { types } from "./types.ts";

/** @param name  "module.name" */
export const isMpi = (name: string): boolean => abiTable.get(name)?.group === "mpi";

export const mpi = (guest: Guest): Record<string, GuestImport["run"]> => {
  const ranks = new Ranks(guest);
  return {
    ...environment(guest, ranks),
    ...groups(ranks),
    ...types(ranks),
    ...pointToPoint(ranks),
    ...collectives(ranks),
    ...oneSided(ranks),
  };
};
