export { Fenced, type FenceReason } from "./fenced.ts";
export { FlushedLogBook } from "./flushed-logbook.ts";
export { HalfmoonRead } from "./halfmoon-read.ts";
export type { ObjectProtocol, ObjectRead, ObjectSlice, UpdateOutcome } from "./protocol.ts";
export { ScopeChoices } from "./scope-choices.ts";
export { type ProtocolChoice, ScopedObjects } from "./scoped-objects.ts";
export { type Origin, type Step, type StepDone, StepStream, type StepStreamState } from "./step-stream.ts";
