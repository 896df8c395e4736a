/**
 * Entry of the throw-away process of one rewriting. Standard input: the length of a request as 4 bytes, little endian, the request as
 * JSON, the module. Descriptor 3: the rewritten module. Anything else but status 0 is a failure, its reason is on standard error.
 */
import { readFileSync, writeSync } from "node:fs";
import type { RewriteRequest } from "./rewriting.ts";

const STDIN = 0;
const RESULT = 3;

try {
  const { runPasses } = await import("./chain.ts");
  const input = readFileSync(STDIN);
  const requestEnd = 4 + input.readUInt32LE(0);
  const request: RewriteRequest = JSON.parse(input.toString("utf8", 4, requestEnd));
  const rewritten = runPasses(input.subarray(requestEnd), request);
  for (let at = 0; at < rewritten.byteLength; ) {
    at += writeSync(RESULT, rewritten, at);
  }
} catch (error) {
  // What else is thrown is binaryen's exit, which has said why.
  process.stderr.write(error instanceof Error ? error.message : "");
  process.exitCode = 1;
}
