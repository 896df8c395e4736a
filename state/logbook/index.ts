export {
  type Checkpoint,
  type CheckpointStore,
  type Checkpoints,
  type CheckpointWriter,
  inlineCheckpoints,
  threadCheckpoints,
} from "./checkpoint/index.ts";
export { RecordKind } from "./kinds.ts";
export {
  DEFAULT_SHARD_OPTIONS,
  LocalShard,
  type LocalShardOptions,
  type LocalShardParts,
  openLocalShard,
} from "./local-shard.ts";
export type {
  AppendRequest,
  AppendResult,
  BlobRefLike,
  Condition,
  ListedObject,
  LogBook,
  LogRecord,
  NewRecord,
  ReadResult,
  Shard,
  ShardSource,
  StreamRead,
  Turn,
  UnfinishedInstance,
} from "./logbook.ts";
