/** What a module may import, as data: the pipeline knows no import by name, but those that it makes code of. */

export interface AbiFunction {
  /** Value types by their names in the text format: "i32", "i64", "f32", "f64". */
  readonly params: readonly string[];
  readonly results: readonly string[];
  readonly suspends: boolean;
  /** Rewriting makes code of it. */
  readonly inline?: boolean;
  /** It is about threads: for modules whose memory is shared. */
  readonly threads?: boolean;
}

/** By "module.name"; the module's name has no dot. */
export type AbiTable = ReadonlyMap<string, AbiFunction>;
