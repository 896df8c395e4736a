/** All benchmarks, in the order in which they run. */
import { findClang } from "../../../functions/clang.ts";
import type { BenchCase } from "../bench-case.ts";
import { append } from "./append.ts";
import { cold } from "./cold.ts";
import { counter } from "./counter.ts";
import { cppParts } from "./cpp-parts.ts";
import { cppStart } from "./cpp-start.ts";
import { dataMoves } from "./data-moves.ts";
import { flush } from "./flush.ts";
import { hello } from "./hello.ts";
import { imports } from "./imports.ts";
import { indexMemory } from "./index-memory.ts";
import { isolation } from "./isolation.ts";
import { kill } from "./kill.ts";
import { loops } from "./loops.ts";
import { migration } from "./migration.ts";
import { mpi } from "./mpi.ts";
import { openmp } from "./openmp.ts";
import { regions } from "./regions.ts";
import { restart } from "./restart.ts";
import { rewriting } from "./rewriting.ts";
import { sandboxes } from "./sandboxes.ts";
import { snapshot } from "./snapshot.ts";
import { steps } from "./steps.ts";
import { threads } from "./threads.ts";
import { wasi } from "./wasi.ts";
import { wordcount } from "./wordcount.ts";

export const cases: readonly BenchCase[] = [
  flush,
  append,
  indexMemory,
  restart,
  hello,
  imports,
  wasi,
  steps,
  counter,
  cold,
  snapshot,
  sandboxes,
  kill,
  isolation,
  regions,
  threads,
  migration,
  dataMoves,
  wordcount,
  ...(findClang() === null ? [] : [openmp, mpi, cppParts, cppStart]),
  loops,
  rewriting,
];
