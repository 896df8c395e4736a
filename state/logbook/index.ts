export { AUX_MAX_BYTES } from "./aux-cache.ts";
export type { CellVersion } from "./cells.ts";
export { REQUEST_MAX_CONDITIONS, REQUEST_MAX_RECORDS } from "./check-request.ts";
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
export { encodeLockBreak, LOCK_BREAKS_KEPT, type LockBreak, lockBreakOf } from "./lock-record.ts";
export type {
  AppendRequest,
  AppendResult,
  BlobRefLike,
  CellEntry,
  CellOutcome,
  CellRead,
  CellWrite,
  Condition,
  HeldLock,
  Home,
  ListedObject,
  LockRead,
  LogBook,
  LogRecord,
  ModeAt,
  NewRecord,
  ReadResult,
  ScopeView,
  Shard,
  ShardSource,
  StreamRead,
  StreamTail,
  Turn,
  UnfinishedInstance,
} from "./logbook.ts";
export { type ControllerOptions, DEFAULT_CONTROLLER_OPTIONS } from "./mode-controller.ts";
export { DEFAULT_MODE, MODES, type Mode, scopeOf } from "./modes.ts";
export { encodeTrim, type Trim, trimRecord } from "./trim.ts";
export { WAIT_MAX_MS } from "./waits.ts";
