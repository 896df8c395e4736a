export { Fenced, type FenceReason } from "./fenced.ts";
export { FlushedLogBook } from "./flushed-logbook.ts";
export { GuestLog, type LogAppend, type LogAppendOutcome, type LogCondition } from "./guest-log.ts";
export { type GuestRead, type GuestTail, lookAt } from "./guest-look.ts";
export { entryOf } from "./halfmoon-write.ts";
export { LoggedReads, lastOfPage, loggedList } from "./logged-reads.ts";
export { ObjectVersions, readVersion } from "./object-versions.ts";
export type { ObjectProtocol, ObjectRead, ObjectSlice, PlacedObjects, UpdateOutcome } from "./protocol.ts";
export {
  decodeReads,
  distinct,
  encodeReads,
  type MadeRead,
  type PinnedRead,
  type ReadQuery,
  readMade,
  writeMade,
} from "./read-log.ts";
export { ScopeChoices } from "./scope-choices.ts";
export { type ProtocolChoice, ScopedObjects } from "./scoped-objects.ts";
export { bytesOf, readFound, writeFound } from "./slice.ts";
export type { Origin, Reading, Step, StepDone, StepRefusal, StepStreamState } from "./step.ts";
export { StepStream } from "./step-stream.ts";
