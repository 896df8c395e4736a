import { readFileSync } from "node:fs";
import type { Mutation } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url);

/** The file's text with the defect in it. @throws unless the text to replace is there exactly once */
export function mutated({ name, file, find, replace }: Mutation, source = readFileSync(new URL(file, ROOT), "utf8")): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    const times = source.split(find).length - 1;
    throw new Error(`mutation "${name}": its text is in ${file} ${times} times, must be once`);
  }
  return `${before}${replace}${after}`;
}

/** For Vite: loads one file with the defect that the environment names, all others as they are. */
export function mutationPlugin(mutation: Mutation) {
  const path = new URL(mutation.file, ROOT).pathname;
  return {
    name: "neap-mutation",
    enforce: "pre" as const,
    transform: (source: string, id: string) => (id === path ? mutated(mutation, source) : null),
  };
}
