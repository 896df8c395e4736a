/** What a function imports: `import { input, output, objects } from "…/guest-sdk/assembly"`. */
export { toBytes, toText } from "./bytes";
export { call, CallOutcome, post, select, sleep, spawn, start, startBound, startBytes, StartedCall } from "./calls";
export { http, HttpResponse } from "./http";
export { json } from "./json";
export { fail, input, inputBytes, log, output, outputBytes } from "./io";
export { lock, tryLock, unlock } from "./lock";
export { Append, Condition, LogRead, LogRecord, LogTail, logbook, MAX_SEQNUM } from "./logbook";
export { objects, Version } from "./objects";
export { storage } from "./storage";
export { F32View, F64View, I32View, I64View, MemoryRegion, RegionView, U8View, Waited } from "./region";
export { fence, sync } from "./sync";
export { parallelFor, wasi_thread_start } from "./threads";
export { now, random, randomBytes } from "./time-random";
export { Isolation, transaction } from "./transaction";
