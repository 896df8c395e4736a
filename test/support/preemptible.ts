/** What the upload's rewriting makes of a module, without the upload. */
import { createHash } from "node:crypto";
import type { Artefact, ModuleHash } from "../../host/modules/artefact.ts";
import { runPasses } from "../../host/modules/rewriting/chain.ts";

export function preemptible(artefact: Artefact): Artefact {
  const wasm = runPasses(artefact.wasm, { passes: ["polls"], options: { suspending: [] } });
  const hash = createHash("sha256").update(wasm).digest("hex") as ModuleHash;
  return { ...artefact, wasm, hash, preemptible: true };
}
