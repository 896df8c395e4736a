/**
 * How much of each a module may have. They bound what reading, compiling and starting a hostile module costs (20 functions with
 * 50,000 locals each keep the compiler busy for 65 ms and take 181 bytes), far above what compilers emit.
 */
export const MODULE_CAPS = {
  customSections: 1_000,
  types: 10_000,
  /** Parameters, or results, of one function. */
  parameters: 1_000,
  imports: 1_000,
  functions: 200_000,
  /** One table and one memory: a snapshot and a delta hold no others. */
  tables: 1,
  memories: 1,
  tags: 1_000,
  globals: 10_000,
  exports: 10_000,
  elementSegments: 10_000,
  dataSegments: 100_000,
  /** Of one function: the engine compiles it in one go at its first call, and cannot be stopped there. */
  bodyBytes: 256 * 1024,
  /** The same, for what takes long though it is short (compile-work.ts): 15 to 35 ms. The most that a function of clang in WebAssembly takes is 11 million. */
  compileUnits: 12_000_000,
  localsOfFunction: 10_000,
  locals: 2_000_000,
  /** Blocks inside blocks. */
  nesting: 10_000,
  /** Not-zero bytes of memory after the start function. */
  snapshotBytes: 64 * 1024 * 1024,
  /** Parts of memory that are not zero then: each is an object wherever the artefact is loaded. */
  snapshotRuns: 100_000,
} as const;

/** What rewriting adds is of this host's making: a memory shared with the host, one for a frozen stack, one for regions. */
export const REWRITTEN_CAPS = { ...MODULE_CAPS, memories: 2 };
