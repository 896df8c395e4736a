export type { CellVersion } from "./cells.ts";
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
  CellEntry,
  CellOutcome,
  CellRead,
  CellWrite,
  Condition,
  Home,
  ListedObject,
  LogBook,
  LogRecord,
  ModeAt,
  NewRecord,
  ReadResult,
  ScopeView,
  Shard,
  ShardSource,
  StreamRead,
  Turn,
  UnfinishedInstance,
} from "./logbook.ts";
export { type ControllerOptions, DEFAULT_CONTROLLER_OPTIONS } from "./mode-controller.ts";
export { DEFAULT_MODE, MODES, type Mode, scopeOf } from "./modes.ts";
