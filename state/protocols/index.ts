export { Fenced, type FenceReason } from "./fenced.ts";
export { HalfmoonRead } from "./halfmoon-read.ts";
export { ObjectVersions } from "./object-versions.ts";
export type { ObjectProtocol, ObjectRead, ObjectSlice, UpdateOutcome } from "./protocol.ts";
export { type Origin, type Step, type StepDone, StepStream, type StepStreamState } from "./step-stream.ts";
