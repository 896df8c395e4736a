/** What a module is instantiated with. */
import { REWRITING_MODULE } from "../../modules/artefact.ts";
import type { GuestImport } from "../guest.ts";
import type { WorkerModule } from "./worker-module.ts";

type Imported = WebAssembly.Suspending | WebAssembly.Memory | GuestImport["run"];

export interface LinkedImports {
  readonly imports: Record<string, Record<string, Imported>>;
  /** Whether a call can wait in one of them. */
  readonly suspends: boolean;
}

/**
 * @param offered  by module and name, joined by a dot
 * @param wrapped  as the guest sees what is offered
 * @param rewriting  of the upload's own import module; a memory that threads share is its only import of it
 * @throws WebAssembly.LinkError for a module whose imports are not offered
 */
export function linkImports(
  { loaded, imports: wanted }: WorkerModule,
  offered: Readonly<Record<string, GuestImport>>,
  wrapped: (found: GuestImport) => Imported,
  rewriting: Readonly<Record<string, Imported>>,
): LinkedImports {
  const imports: LinkedImports["imports"] = { [REWRITING_MODULE]: { ...rewriting } };
  let suspends = loaded.preemptible;
  for (const { module: group, name, kind } of wanted) {
    if (imports[group]?.[name] !== undefined) {
      continue;
    }
    if (kind === "memory" && loaded.arena !== undefined) {
      imports[group] = { ...imports[group], [name]: loaded.arena };
      continue;
    }
    const found = offered[`${group}.${name}`];
    if (found === undefined) {
      throw new WebAssembly.LinkError(`the import ${group}.${name} is not offered`);
    }
    suspends ||= found.suspends;
    imports[group] ??= {};
    imports[group][name] = wrapped(found);
  }
  return { imports, suspends };
}
