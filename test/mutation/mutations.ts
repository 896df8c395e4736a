/**
 * Defects that the tests must notice. Each is a text of a source file and what stands there instead while its tests run; nothing of
 * it is in the sources. `npm run mutate` runs all, `npm test` a few, and that each still applies.
 *
 * Names: those of the rules they break. Several are defects that real systems of this kind had.
 */
import { callMutations } from "./call-mutations.ts";
import { guestMutations } from "./guest-mutations.ts";
import { isolationMutations } from "./isolation-mutations.ts";
import { logMutations } from "./log-mutations.ts";
import { moveMutations } from "./move-mutations.ts";
import { mpiMutations } from "./mpi-mutations.ts";
import { objectMutations } from "./object-mutations.ts";
import { regionMutations } from "./region-mutations.ts";
import { sandboxMutations } from "./sandbox-mutations.ts";
import { sideModuleMutations } from "./side-module-mutations.ts";
import { threadMutations } from "./thread-mutations.ts";

export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** A test file, and the beginning of the names of the tests in it that fail; without a name all of it is run. */
  readonly caughtBy: readonly [path: string, name?: string];
}

export const mutations: readonly Mutation[] = [
  ...logMutations,
  ...callMutations,
  ...objectMutations,
  ...guestMutations,
  ...isolationMutations,
  ...regionMutations,
  ...threadMutations,
  ...sandboxMutations,
  ...sideModuleMutations,
  ...moveMutations,
  ...mpiMutations,
];
