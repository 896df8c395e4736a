/** A thread that runs a guest's main, as a sandbox worker does, and nothing else. */
import { parentPort, workerData } from "node:worker_threads";

const { main } = new WebAssembly.Instance(new WebAssembly.Module(workerData as Uint8Array<ArrayBuffer>)).exports;
parentPort?.postMessage("begins");
if (typeof main === "function") {
  main();
}
