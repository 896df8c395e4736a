import { type Deployment, startOne, startSeparate } from "./deployment.ts";

export interface Variant {
  readonly name: string;
  readonly what: string;
  /** @param flags  for every process */
  start(folder: string, flags: readonly string[]): Promise<Deployment>;
}

function one(name: string, what: string, ...own: readonly string[]): Variant {
  return { name, what, start: (folder, flags) => startOne(folder, [...flags, ...own]) };
}

export const VARIANTS: readonly Variant[] = [
  one("default", "one process with the default options"),
  one("one-worker", "all calls share one thread", "--compute-workers", "1", "--storage-workers", "1"),
  {
    name: "separate",
    what: "compute and storage in separate processes, any of which is killed",
    start: (_folder, flags) => startSeparate(flags),
  },
];
