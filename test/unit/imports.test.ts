import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The picture of docs/architecture.md as data, bottom to top: a folder may import from those before it in the list, and from the
 * single files that every layer shares. Inside state/ a contract (type-only import) may come from anywhere.
 */
const BOTTOM_TO_TOP = [
  "guest-sdk/abi.json",
  "state/journal",
  "state/logbook",
  "state/objects",
  "state/protocols",
  "state/txn",
  "state/regions",
  "state/remote",
  "host/telemetry",
  "host/processes",
  "host/egress",
  "host/tenancy",
  "host/modules",
  "host/sandbox",
  "host/abi",
  "host/offload",
  "host/invocation",
  "host/config",
  "host/http",
  "host/cli",
];

/** Wires everything; nobody imports it. */
const WIRING = ["host/main.ts", "host/node.ts", "host/own-shard.ts", "host/isolation.ts", "host/greeting.ts"];
const SHARED_FILES = new Set([
  "state/bytes.ts",
  "state/errors.ts",
  "state/ids.ts",
  "state/ports.ts",
  "state/shape.ts",
  "state/tags.ts",
  "host/errors.ts",
]);

const ROOT = resolve(import.meta.dirname, "../..");

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path}`)
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found = text.matchAll(/^\s*(?:import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"/gm);
  return [...found].map(([, typeOnly, target]) => ({
    from: file,
    to: relative(ROOT, resolve(ROOT, dirname(file), target ?? "")),
    typeOnly: typeOnly !== undefined,
  }));
}

const layerOf = (file: string): string => file.split("/").slice(0, 2).join("/");
const all = [...sources("state"), ...sources("host")];
const imports = all.flatMap(importsOf);

describe("imports go only the way of the architecture's picture", () => {
  it("reads a plausible number of imports", () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it("knows every folder", () => {
    const layers = new Set(all.filter((file) => !SHARED_FILES.has(file) && !WIRING.includes(file)).map(layerOf));
    expect([...layers].filter((layer) => !BOTTOM_TO_TOP.includes(layer)).sort()).toEqual([]);
  });

  it("has no import against the direction", () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      if (WIRING.includes(from) || SHARED_FILES.has(to) || layerOf(from) === layerOf(to)) {
        return false;
      }
      if (typeOnly && from.startsWith("state/") && to.startsWith("state/")) {
        return false;
      }
      return BOTTOM_TO_TOP.indexOf(layerOf(to)) >= BOTTOM_TO_TOP.indexOf(layerOf(from));
    });
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  it("never reaches from state to host", () => {
    expect(imports.filter(({ from, to }) => from.startsWith("state/") && to.startsWith("host/"))).toEqual([]);
  });

  it("is not imported by anybody: the wiring", () => {
    expect(imports.filter(({ from, to }) => WIRING.includes(to) && !WIRING.includes(from))).toEqual([]);
  });
});

describe("nondeterminism is a parameter", () => {
  const DIRECT =
    /\b(?:Date\.now|setTimeout|setInterval|setImmediate|Math\.random|randomBytes|randomUUID|getRandomValues|performance\.now)\b/;

  /** Looks for the end of another thread's work, turn by turn of the event loop: there is none without real threads. */
  const BESIDE_A_THREAD = "state/journal/thread-writer.ts";

  it("state/ and host/invocation take time, timers and randomness from their ports only", () => {
    const inLayers = all.filter((file) => file.startsWith("state/") || file.startsWith("host/invocation/"));
    const layers = inLayers.filter((file) => file !== BESIDE_A_THREAD);
    const direct = layers.filter((file) => DIRECT.test(readFileSync(join(ROOT, file), "utf8")));
    expect(layers.length).toBeGreaterThan(50);
    expect(direct).toEqual([]);
  });
});
