/**
 * The program of a process that may read no file: the sources of its modules, without their types, in one text that it gets on its
 * standard input (H24). They stay modules of their own, which a loader in the text hands out by name.
 */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url).href;
const PACKAGES = "node_modules/";
/** Nothing of the host's paths is in the names by which the modules know each other. They look like files, which packages expect. */
const NAMES = "file:///neap/";
/** What a source imports from another file of ours, once its types are gone, and from packages. */
const IMPORTED = /^\s*(?:import|export)\b[^"';]*?(?:\bfrom\s*)?"(\.{1,2}\/[^"]+)"/gm;
const PACKAGE = /^\s*import\b[^"';]*?\bfrom\s*"((?!\.|node:)[^"]+)"/gm;

export interface ProgramModules {
  /** Name → source. */
  readonly sources: Record<string, string>;
  /** Package → name of its module. */
  readonly packages: Record<string, string>;
}

/** As the process knows a module. */
export function nameOf(url: string): string {
  return NAMES + (url.startsWith(ROOT) ? url.slice(ROOT.length) : url.slice(url.lastIndexOf(`/${PACKAGES}`) + 1));
}

/** These modules with all that they import. @throws what reading a source throws */
export function modulesOf(urls: readonly string[]): ProgramModules {
  const modules: ProgramModules = { sources: {}, packages: {} };
  for (const url of urls) {
    collect(url, modules);
  }
  return modules;
}

/** What a thread of such a process needs to import modules: `loads`, the text of a function, is called with the modules there. */
export interface ThreadProgram extends ProgramModules {
  readonly loads: string;
}

/**
 * Imports the modules and calls `run`, the text of a function, with what they export, in their order, and `add`, which takes further
 * `ProgramModules` to import from; then, if there are modules for its threads, a ThreadProgram of them and of all others.
 * @throws what reading a source throws
 */
export function programText(urls: readonly string[], run: string, forThreads: readonly string[] = []): string {
  const modules = JSON.stringify(modulesOf([...urls, ...forThreads]));
  const hasThreads = forThreads.length > 0;
  return `"use strict";
const loads = ${LOADS};
${hasThreads ? `const program = ${modules};` : ""}
const add = loads(${hasThreads ? "program" : modules});
Promise.all(${JSON.stringify(urls.map(nameOf))}.map((name) => import(name))).then((modules) =>
  (${run})(...modules, add${hasThreads ? ", { ...program, loads: String(loads) }" : ""}));
`;
}

const LOADS = `(program) => {
  const sources = new Map();
  const packages = new Map();
  const add = (more) => {
    for (const [name, source] of Object.entries(more.sources)) sources.set(name, source);
    for (const [name, target] of Object.entries(more.packages)) packages.set(name, target);
  };
  add(program);
  require("node:module").registerHooks({
    resolve(name, { parentURL }, next) {
      const url = packages.get(name) ?? (name.startsWith(".") ? new URL(name, parentURL).href : name);
      return sources.has(url) ? { url, shortCircuit: true } : next(name);
    },
    load(url, context, next) {
      const source = sources.get(url);
      if (source === undefined) return next(url, context);
      sources.set(url, "");
      return { source, format: url.endsWith(".json") ? "json" : "module", shortCircuit: true };
    },
  });
  return add;
}`;

function collect(url: string, modules: ProgramModules): void {
  const name = nameOf(url);
  if (modules.sources[name] !== undefined) {
    return;
  }
  const text = readFileSync(fileURLToPath(url), "utf8");
  const source = url.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
  modules.sources[name] = source;
  if (url.includes(`/${PACKAGES}`)) {
    // One file, whatever it says in it.
    return;
  }
  for (const [, target = ""] of source.matchAll(IMPORTED)) {
    collect(new URL(target, url).href, modules);
  }
  for (const [, target = ""] of source.matchAll(PACKAGE)) {
    const found = import.meta.resolve(target);
    modules.packages[target] = nameOf(found);
    collect(found, modules);
  }
}
