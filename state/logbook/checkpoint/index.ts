export { Checkpointer } from "./checkpointer.ts";
export { type Checkpoints, inlineCheckpoints, threadCheckpoints } from "./checkpoints.ts";
export { openIndex } from "./saved-index.ts";
export type { Checkpoint, CheckpointStore, CheckpointWriter, SavedRecords } from "./store.ts";
