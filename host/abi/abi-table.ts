/** The imports a guest may use, as guest-sdk/abi.json lists them. */
import abi from "../../guest-sdk/abi.json" with { type: "json" };

export interface AbiImport {
  /** Value types by their names in the text format. */
  readonly params: readonly string[];
  readonly results: readonly string[];
  /** Whether the guest may have to wait in it. */
  readonly suspends: boolean;
  /** Rewriting puts it into the module at its upload: a sandbox is not asked for it. */
  readonly inline: boolean;
  /** It is about threads: for modules whose memory is shared. */
  readonly threads: boolean;
  /** Of imports that share their module with others. */
  readonly group: string | undefined;
}

/** By "module.name". */
export const abiTable: ReadonlyMap<string, AbiImport> = new Map(
  abi.imports.map(({ module, name, class: kind, params, results, suspends, inline = false, group }) => [
    `${module}.${name}`,
    { params, results, suspends, inline, group, threads: kind === "thread" },
  ]),
);
