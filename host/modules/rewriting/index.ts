export {
  NO_REWRITING,
  PASSES,
  type PassName,
  type PassOptions,
  type RewriteRequest,
  type RewritingOptions,
  rewriteRequest,
} from "./rewriting.ts";
