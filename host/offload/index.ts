export { Admission, type AdmissionLimits, type MachineLoad } from "./admission.ts";
export { boundedPool } from "./bounded-pool.ts";
export { DataMoves, type ReadWatch } from "./data-moves.ts";
export { Evacuation } from "./evacuation.ts";
export { MachineLoadSampler } from "./machine-load.ts";
export type {
  CallTaker,
  Departure,
  MoveCause,
  MovedCall,
  MovedChild,
  MovedTrace,
  MoveReply,
  MoveTrace,
} from "./moved-call.ts";
export { Moves } from "./moves.ts";
export { NO_OTHER_NODES, type NodeLoad, type OtherNode, type OtherNodes, Spread } from "./nodes.ts";
export { Offload, type OffloadPolicy, type PlacementDecision, type StoragePool } from "./offload.ts";
export {
  decodePartReply,
  decodePartRequest,
  encodePartReply,
  encodePartRequest,
  type PartReply,
  type PartRequest,
} from "./part.ts";
export {
  type OwnRanks,
  RANK_ASKS,
  type RankAsk,
  type RankCall,
  type RankEnd,
  type RankHost,
  spreadRanks,
  type WorldAnswer,
  type WorldDesk,
} from "./ranks.ts";
export { remoteTaker, serveMoves } from "./remote-moves.ts";
export { NodeDirectory, nodesBehind, type OwnNode, STORAGE_NODE, serveLoad } from "./remote-nodes.ts";
export { remoteStoragePool, serveParts } from "./remote-pool.ts";
export { HeldStates } from "./remote-state.ts";
