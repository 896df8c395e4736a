/** Compares what scripts say of modules as they are with what they say of the modules that an upload makes of them. */

import { sharedMemory } from "../../host/modules/module-shape.ts";
import { bulkInstructions } from "../../host/modules/preparation.ts";
import { PASSES, type PassName } from "../../host/modules/rewriting/index.ts";
import { editModule } from "../../host/modules/section-editor.ts";
import { readSections } from "../../host/modules/sections.ts";
import { checkCode, mutableGlobals } from "../../host/modules/validation.ts";
import { NeapError } from "../../state/errors.ts";
import type { Rewriter } from "./rewriter.ts";
import { ANY_NUMBER, runScript, type ScriptRun, type Transform, type Verdict } from "./run-script.ts";
import type { Script } from "./script.ts";

/** Far above what scripts need: what a host allows is not what is tested. */
const LIMITS = { moduleMaxBytes: 2 ** 30, memoryMaxPages: 65_536, tableMaxElements: 10_000_000, uploadTimeoutMs: 60_000 };

/** The ways through the upload: the default one, each pass alone, and all of them. */
export const VARIANTS: readonly { readonly name: string; readonly passes: readonly PassName[] }[] = [
  { name: "edited", passes: [] },
  ...PASSES.map((pass) => ({ name: pass, passes: [pass] })),
  { name: "all passes", passes: PASSES },
];

export interface Comparison {
  readonly script: string;
  readonly variant: string;
  readonly run: ScriptRun;
  /** Commands after which the rewritten module did something else. */
  readonly differences: readonly { readonly before: Verdict; readonly after: Verdict }[];
}

/** Runs the script plain, and once for each variant. */
export async function compare(script: Script, rewriter: Rewriter): Promise<{ plain: ScriptRun; comparisons: Comparison[] }> {
  const plain = await runScript(script, PLAIN);
  const comparisons: Comparison[] = [];
  for (const { name, passes } of VARIANTS) {
    const run = await runScript(script, uploaded(passes, rewriter));
    const differences = plain.verdicts.flatMap((before, at) => {
      const after = run.verdicts[at];
      // Where engine and script do not agree on what is valid, the upload may still refuse it. And it looks at the imports of the
      // module as it came: those that nobody uses may not be there afterwards, and then nothing keeps it from being linked.
      const isSame =
        after === undefined ||
        after.outcome === before.outcome ||
        after.outcome === "refused" ||
        (before.outcome === "unlinkable" && after.outcome === "instantiated");
      return isSame ? [] : [{ before, after }];
    });
    comparisons.push({ script: script.name, variant: name, run, differences });
  }
  return { plain, comparisons };
}

export const PLAIN: Transform = {
  module: async (bytes) => bytes,
  takes: (bytes) => WebAssembly.validate(bytes),
};

/** As the upload does it, without what it asks of a function: an entry, a memory, and imports that this host offers. */
function uploaded(passes: readonly PassName[], rewriter: Rewriter): Transform {
  return {
    module: async (bytes) => {
      const refusal = refusalOf(bytes);
      if (refusal !== null) {
        return { refusal };
      }
      if (passes.length === 0) {
        return edit(bytes, true);
      }
      if (sharedMemory(readSections(bytes, ANY_NUMBER)) !== undefined) {
        return { refusal: "the memory is shared by threads: the module is not rewritten" };
      }
      try {
        return edit(await rewriter.rewrite(edit(bytes, false), passes), true);
      } catch (error) {
        return { refusal: error instanceof Error ? error.message : String(error) };
      }
    },
    takes: (bytes) => refusalOf(bytes) === null && WebAssembly.validate(bytes),
  };
}

/** Why the host does not take what the module uses of WebAssembly; null when it does. */
function refusalOf(bytes: Uint8Array<ArrayBuffer>): string | null {
  try {
    checkCode(bytes, readSections(bytes), LIMITS);
    return null;
  } catch (error) {
    if (error instanceof NeapError) {
      return error.message;
    }
    throw error;
  }
}

function edit(bytes: Uint8Array<ArrayBuffer>, isLast: boolean): Uint8Array<ArrayBuffer> {
  const shape = readSections(bytes, ANY_NUMBER);
  return editModule(bytes, shape, {
    memoryMinPages: shape.memories[0]?.min ?? 0,
    memoryMaxPages: LIMITS.memoryMaxPages,
    tableMaxElements: LIMITS.tableMaxElements,
    globals: isLast ? mutableGlobals(shape).map(({ index }) => index) : [],
    activeData: true,
    bulk: isLast ? bulkInstructions(bytes, shape) : [],
  });
}
