/** What a sandbox worker loads (`importsUrl`): every import of guest-sdk/abi.json, bound to one sandbox. */
import { invariant } from "../../state/errors.ts";
import type { CreateImports, Guest, GuestImport } from "../sandbox/guest.ts";
import { abiTable } from "./abi-table.ts";
import { assemblyScript } from "./assembly-script.ts";
import { calls } from "./calls.ts";
import { clockRandom } from "./clock-random.ts";
import { faasm, isFaasm, isFaasmInThreads, waitsWhenAliased } from "./faasm/index.ts";
import { http } from "./http.ts";
import { io } from "./io.ts";
import { locks } from "./locks.ts";
import { log } from "./log.ts";
import { isMpi, mpi } from "./mpi/index.ts";
import { objects } from "./objects.ts";
import { parts } from "./parts.ts";
import { regionFault, regions } from "./regions.ts";
import { threads } from "./threads.ts";
import { transactions } from "./transactions.ts";
import { callFileSystem, isWasi, neverWaits, neverWaitsInThreads, wasi } from "./wasi/index.ts";

/** Where that does not follow from whether it suspends: Faasm's local state is the main thread's, and so are messages. */
function inThreads(name: string): { readonly inThreads?: boolean } {
  if (isMpi(name)) {
    return { inThreads: false };
  }
  return neverWaitsInThreads(name) ? { inThreads: true } : isFaasm(name) ? { inThreads: isFaasmInThreads(name) } : {};
}

type Functions = Readonly<Record<string, GuestImport["run"]>>;

/** All imports of all groups, by "module.name", without those that rewriting puts into modules. */
export function importFunctions(guest: Guest): Functions {
  const files = callFileSystem(guest);
  return { ...hostFunctions(guest), ...wasi(guest, files), ...faasm(guest, files), ...mpi(guest) };
}

const hostFunctions = (guest: Guest): Functions => ({
  ...io(guest),
  ...objects(guest),
  ...calls(guest),
  ...parts(guest),
  ...log(guest),
  ...transactions(guest),
  ...locks(guest),
  ...regions(guest),
  ...http(guest),
  ...threads(guest),
  ...clockRandom(guest),
  ...assemblyScript(guest),
});

export const createImports: CreateImports = (guest, names = abiTable.keys()) => {
  const wanted = new Set(names);
  // Half of all imports, and most modules have none of them: a new sandbox shall not wait for that.
  const functions = [...wanted].some((name) => isWasi(name) || isFaasm(name) || isMpi(name))
    ? importFunctions(guest)
    : hostFunctions(guest);
  const imports: Record<string, GuestImport> = { "$host.region_fault": { suspends: false, run: regionFault } };
  for (const name of wanted) {
    const listed = abiTable.get(name);
    if (listed !== undefined && !listed.inline) {
      const run = functions[name];
      invariant(run !== undefined, `guest-sdk/abi.json lists ${name}, which host/abi does not implement`);
      const suspends = (listed.suspends && !neverWaits(name, wanted)) || waitsWhenAliased(guest, name);
      imports[name] = { suspends, ...inThreads(name), results: listed.results, run };
    }
  }
  return imports;
};
