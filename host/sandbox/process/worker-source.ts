/**
 * The program of a process that may read no file: the sources of the executor and of the imports, without their types, in one text that
 * it gets on its standard input (H24). They stay modules of their own, which a loader in the text hands out by name.
 */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import type { ProcessData } from "./process-worker.ts";

const ENTRY = new URL("./process-worker.ts", import.meta.url);
/** Nothing of the host's paths is in the names by which the modules know each other. */
const SCHEME = "neap:";
/** What a source imports from another one of ours, once its types are gone. */
const IMPORTED = /^\s*(?:import|export)\b[^"';]*?(?:\bfrom\s*)?"(\.{1,2}\/[^"]+)"/gm;

/**
 * The text, up to the data that `withData` adds.
 * @throws what reading a source throws, when `importsUrl` or something it imports is not there
 */
export function workerSource(importsUrl: URL): string {
  const sources = new Map<string, string>();
  collect(ENTRY, sources);
  collect(importsUrl, sources);
  const folder = commonFolder(Array.from(sources.keys()));
  const named = Array.from(sources, ([url, source]): [string, string] => [SCHEME + url.slice(folder.length), source]);
  const name = (url: URL) => JSON.stringify(SCHEME + url.href.slice(folder.length));
  return `"use strict";
const sources = new Map(${JSON.stringify(named)});
const { registerHooks } = require("node:module");
registerHooks({
  resolve(name, { parentURL }, next) {
    if (sources.has(name)) return { url: name, shortCircuit: true };
    if (!name.startsWith(".")) return next(name);
    return { url: "${SCHEME}" + new URL(name, parentURL.replace("${SCHEME}", "file:///")).pathname.slice(1), shortCircuit: true };
  },
  load(url, context, next) {
    const source = sources.get(url);
    if (source === undefined) return next(url, context);
    return { source, format: url.endsWith(".json") ? "json" : "module", shortCircuit: true };
  },
});
Promise.all([import(${name(ENTRY)}), import(${name(importsUrl)})]).then(([worker, imports]) => {
  sources.clear();
  worker.serve(imports.createImports, data);
});
`;
}

/** The whole program. */
export function withData(source: string, data: ProcessData): string {
  return `${source}const data = ${JSON.stringify(data)};\n`;
}

function collect(url: URL, sources: Map<string, string>): void {
  if (sources.has(url.href)) {
    return;
  }
  const text = readFileSync(fileURLToPath(url), "utf8");
  const source = url.pathname.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
  sources.set(url.href, source);
  for (const [, target] of source.matchAll(IMPORTED)) {
    collect(new URL(target as string, url), sources);
  }
}

/** Up to and with its last slash. */
function commonFolder(urls: readonly string[]): string {
  const [first = ""] = urls;
  let folder = first.slice(0, first.lastIndexOf("/") + 1);
  while (!urls.every((url) => url.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  }
  return folder;
}
