/** A node that takes every call, and lets none go but when it stops. */
import { DataMoves, Moves } from "../../host/offload/index.ts";

export function noMoves(): Moves {
  return new Moves({
    data: new DataMoves({ isOn: false, minBytes: 1, storage: () => null }),
    besideData: true,
    load: () => ({ queue: 0, workers: 1 }),
    machineLoad: () => ({ cpuShare: 0, memoryShare: 0 }),
    limits: { cpuThreshold: 1, memoryThreshold: 1 },
    count: () => {},
  });
}
