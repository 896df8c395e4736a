export { AUX_MAX_BYTES } from "./aux-cache.ts";
export {
  type Checkpoint,
  type CheckpointStore,
  type Checkpoints,
  type CheckpointWriter,
  inlineCheckpoints,
  threadCheckpoints,
} from "./checkpoint/index.ts";
export { endsInstance, kindName, RecordKind, startsCall } from "./kinds.ts";
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
  HeldLock,
  ListedObject,
  LockRead,
  LogBook,
  LogRecord,
  NewRecord,
  ReadResult,
  Shard,
  ShardSource,
  StreamRead,
  StreamTail,
  Turn,
  UnfinishedInstance,
} from "./logbook.ts";
export { encodeTrim, type Trim, trimRecord } from "./trim.ts";
export { WAIT_MAX_MS } from "./waits.ts";
