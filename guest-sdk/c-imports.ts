/** The header guest-sdk/include/neap/imports.h, made from abi.json. `npm run docs` writes it. */
import abi from "./abi.json" with { type: "json" };

type Import = (typeof abi.imports)[number];

const C_TYPES: Readonly<Record<string, string>> = { i32: "int32_t", i64: "int64_t", f32: "float", f64: "double" };
/** What modules are called in C. */
const PREFIXES: Readonly<Record<string, string>> = { neap: "neap_host_", region: "neap_region_" };

export function cImportsHeader(): string {
  const offered = abi.imports.filter(({ module }) => module in PREFIXES);
  return `${[HEAD, errors(), OPEN, ...offered.map(declaration), CLOSE].join("\n\n")}\n`;
}

const HEAD = `/* Made from guest-sdk/abi.json by \`npm run docs\`. Change that file, not this one. */
/* The host's imports as they are. neap.h and neap.hpp have what most functions need, in the ways of C and C++. */
#ifndef NEAP_IMPORTS_H
#define NEAP_IMPORTS_H

#include <stdint.h>`;

const OPEN = `#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_IMPORT(module, name) __attribute__((import_module(module), import_name(name))) extern`;

const CLOSE = `#ifdef __cplusplus
}
#endif

#endif`;

/** "notFound: …" becomes NEAP_NOT_FOUND. */
function errors(): string {
  const lines = Object.entries(abi.errors).map(([number, meaning]) => {
    const [name = ""] = meaning.split(":");
    return `  /* ${meaning} */\n  NEAP_${name.replace(/[A-Z]/g, "_$&").toUpperCase()} = ${number},`;
  });
  return `/* Imports answer these instead of a result. */\nenum neap_error {\n${lines.join("\n")}\n};`;
}

function declaration(one: Import): string {
  const { module, name, params, results, summary } = one;
  const names = namesOf(one);
  const given = params.map((type, at) => {
    const param = names[at] ?? "";
    return isPointer(param, names)
      ? `${names.includes(`${param}Len`) ? "const " : ""}void *${param}`
      : `${C_TYPES[type]} ${param}`;
  });
  const result = results[0] === undefined ? "void" : C_TYPES[results[0]];
  const declared = `${result} ${PREFIXES[module]}${name}(${given.join(", ") || "void"});`;
  return `/* ${summary} */\nNEAP_IMPORT("${module}", "${name}") ${declared}`;
}

/** A summary begins with the names: "(key, keyLen) → …". */
function namesOf({ module, name, params, summary }: Import): readonly string[] {
  const names = (/\(([^)]*)\)/.exec(summary)?.[1] ?? "").split(", ").filter((one) => one !== "");
  if (names.length !== params.length) {
    throw new Error(`${module}.${name} has ${params.length} parameters, and its summary in abi.json names ${names.length}`);
  }
  return names;
}

function isPointer(name: string, names: readonly string[]): boolean {
  return /^ptr$|Ptr$/.test(name) || names.includes(`${name}Len`);
}
