/** What rewriting a module is, as data: which passes, in which order, and what they may need to know. */

/** What an upload may ask for beyond the module as it is. Built into the artefact, and so part of its hash. */
export interface RewritingOptions {
  /** Gives way at loops and recursions when other calls of its worker have something to do. */
  readonly preemptible: boolean;
  /** May be frozen in the middle of a call and go on elsewhere. */
  readonly migratable: boolean;
  /** Pointers to Faasm's state are into what all calls of the tenant on this node share (H22). */
  readonly aliasState: boolean;
}

export const NO_REWRITING: RewritingOptions = { preemptible: false, migratable: false, aliasState: false };

/** In the order in which they run, whatever is asked for: each rests on what those before it leave. Files in `passes/`. */
export const PASSES = ["regions", "aliases", "polls", "asyncify", "optimize"] as const;
export type PassName = (typeof PASSES)[number];

/** What every pass is told of the module. */
export interface PassOptions {
  /** Imported functions that may suspend the guest, as "module.name". */
  readonly suspending: readonly string[];
}

export interface RewriteRequest {
  readonly passes: readonly PassName[];
  readonly options: PassOptions;
}

/** Above this size the optimizer costs more seconds than it is worth (H29). */
const OPTIMIZE_MAX_BYTES = 256 * 1024;

/** What the passes have to know of a module's imports, as "module.name". */
export interface RewrittenImports {
  /** Those that may suspend it. */
  readonly suspending: readonly string[];
  /** Those that become code of its own. */
  readonly inline: readonly string[];
}

/** The passes that a module needs; undefined for none. Accesses to memory regions are put in whatever the upload asks for. */
export function rewriteRequest(
  options: RewritingOptions,
  { suspending, inline }: RewrittenImports,
  sizeBytes: number,
): RewriteRequest | undefined {
  const asked: Record<Exclude<PassName, "optimize">, boolean> = {
    regions: inline.length > 0,
    aliases: options.aliasState,
    polls: options.preemptible,
    asyncify: options.migratable,
  };
  const passes = PASSES.filter((pass) => pass !== "optimize" && asked[pass]);
  if (passes.length === 0) {
    return undefined;
  }
  // Accesses to regions alone leave nothing to be made good: the engine inlines them.
  const optimizes = sizeBytes <= OPTIMIZE_MAX_BYTES && passes.some((pass) => pass !== "regions" && pass !== "aliases");
  return { passes: optimizes ? [...passes, "optimize"] : passes, options: { suspending } };
}
