/** What a function imports: `import { input, output, objects } from "…/guest-sdk/assembly"`. */
export { toBytes, toText } from "./bytes";
export { call, CallOutcome, post, select, sleep, spawn, start, startBound, startBytes, StartedCall } from "./calls";
export { input, inputBytes, log, output, outputBytes } from "./io";
export { Append, Condition, LogRead, LogRecord, LogTail, logbook, MAX_SEQNUM } from "./logbook";
export { objects } from "./objects";
export { storage } from "./storage";
export { now, random, randomBytes } from "./time-random";
