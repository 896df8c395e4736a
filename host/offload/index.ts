export { Admission, type AdmissionLimits, type MachineLoad } from "./admission.ts";
export { boundedPool } from "./bounded-pool.ts";
export { MachineLoadSampler } from "./machine-load.ts";
export type { CallTaker, MovedCall, MovedChild, MoveReply } from "./moved-call.ts";
export { Offload, type OffloadPolicy, type PlacementDecision, type StoragePool } from "./offload.ts";
export {
  decodePartReply,
  decodePartRequest,
  encodePartReply,
  encodePartRequest,
  type PartReply,
  type PartRequest,
} from "./part.ts";
export { remoteTaker, serveMoves } from "./remote-moves.ts";
export { remoteStoragePool, serveParts } from "./remote-pool.ts";
export { HeldStates } from "./remote-state.ts";
