/** Makes good what the passes before it have left long-winded. */
import binaryen from "binaryen";

/** As `wasm-opt -O2`. */
export function optimize(module: binaryen.Module): void {
  binaryen.setOptimizeLevel(2);
  binaryen.setShrinkLevel(0);
  module.optimize();
}
