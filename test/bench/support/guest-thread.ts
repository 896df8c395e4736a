/** A thread that runs a guest's main, as a sandbox worker does, and nothing else. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";

export interface GuestData {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** See `ThreadLife`. */
  readonly life: MessagePort;
}

const { wasm } = workerData as GuestData;
const { main } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
parentPort?.postMessage("begins");
if (typeof main === "function") {
  main();
}
