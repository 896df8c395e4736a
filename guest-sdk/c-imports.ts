/** The headers with declarations of imports in guest-sdk/include, made from abi.json. `npm run docs` writes them. */
import abi from "./abi.json" with { type: "json" };

type Import = (typeof abi.imports)[number];

const C_TYPES: Readonly<Record<string, string>> = { i32: "int32_t", i64: "int64_t", f32: "float", f64: "double" };
/** What names of a module begin with in C. */
const PREFIXES: Readonly<Record<string, string>> = { neap: "neap_host_", region: "neap_region_", env: "" };
const FAASM = "__faasm";
/** Texts that end with a NUL, where no length is given. */
const TEXTS = new Set(["name", "key", "maskKey", "path"]);

/** neap/imports.h */
export function neapImportsHeader(): string {
  const about = "The host's imports as they are. neap.h and neap.hpp have what most functions need, in the ways of C and C++.";
  const imports = abi.imports.filter(({ module }) => module === "neap" || module === "region");
  return header("NEAP_IMPORTS_H", about, [errors()], imports);
}

/** faasm.h */
export function faasmHeader(): string {
  const about = "What modules for Faasm and AutoNDP import: docs/guides/faasm.md. New functions use neap.h.";
  return header(
    "NEAP_FAASM_H",
    about,
    ['#include "neap/heap.h"'],
    abi.imports.filter(({ name }) => name.startsWith(FAASM)),
  );
}

function header(guard: string, about: string, before: readonly string[], imports: readonly Import[]): string {
  const parts = [
    "/* Made from guest-sdk/abi.json by `npm run docs`. Change that file, not this one. */",
    `/* ${about} */\n#ifndef ${guard}\n#define ${guard}`,
    "#include <stdint.h>",
    ...before,
    '#ifdef __cplusplus\nextern "C" {\n#endif',
    ...imports.map(declaration),
    "#ifdef __cplusplus\n}\n#endif",
    "#endif",
  ];
  return `${parts.join("\n\n")}\n`;
}

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
    const isGiven = TEXTS.has(param) || names.includes(`${param}Len`);
    const isRoom = /^(ptr|buf)$|Ptr$/.test(param);
    return isGiven ? `const void *${param}` : isRoom ? `void *${param}` : `${C_TYPES[type]} ${param}`;
  });
  const result = results[0] === undefined ? "void" : C_TYPES[results[0]];
  return `/* ${summary} */
__attribute__((import_module("${module}"), import_name("${name}")))
${result} ${PREFIXES[module]}${name}(${given.join(", ") || "void"});`;
}

/** A summary begins with the names: "(key, keyLen) → …". */
function namesOf({ module, name, params, summary }: Import): readonly string[] {
  const names = (/\(([^)]*)\)/.exec(summary)?.[1] ?? "").split(", ").filter((one) => one !== "");
  if (names.length !== params.length) {
    throw new Error(`${module}.${name} has ${params.length} parameters, and its summary in abi.json names ${names.length}`);
  }
  return names;
}
