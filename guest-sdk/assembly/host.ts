/**
 * The host's imports as they are. Functions use the modules beside this one; this is for those who need what these do not offer.
 * What each import does, its class and its error codes: ../abi.json.
 */

/** Codes below 0 that imports answer. */
export const NOT_FOUND: i32 = -1;
export const INVALID: i32 = -2;
export const NOT_IN_PART: i32 = -3;
export const UNKNOWN_FUNCTION: i32 = -4;
export const TOO_LARGE: i32 = -5;
export const CONFLICT: i32 = -6;
export const CLOSED: i32 = -20;
export const TRIMMED: i32 = -21;
export const GAP: i32 = -22;
export const TOO_DEEP: i32 = -7;
export const IN_TRANSACTION: i32 = -40;
export const NO_TRANSACTION: i32 = -41;
export const OPEN_CALLS: i32 = -42;
export const NOT_HELD: i32 = -43;
export const NO_ANSWER: i32 = -60;

@external("neap", "input_size")
export declare function inputSize(): i32;
@external("neap", "input_read")
export declare function inputRead(pointer: usize, offset: i32, length: i32): i32;
@external("neap", "output_write")
export declare function outputWrite(pointer: usize, length: i32): void;
@external("neap", "log_write")
export declare function logWrite(pointer: usize, length: i32): void;
@external("neap", "fail")
export declare function fail(pointer: usize, length: i32): void;

@external("neap", "object_read")
export declare function objectRead(key: usize, keyLength: i32, offset: i64, pointer: usize, capacity: i32, version: usize): i64;
@external("neap", "object_read_for_update")
export declare function objectReadForUpdate(key: usize, keyLength: i32, pointer: usize, capacity: i32, version: usize): i64;
@external("neap", "object_write")
export declare function objectWrite(key: usize, keyLength: i32, pointer: usize, length: i32): i32;
@external("neap", "object_update")
export declare function objectUpdate(key: usize, keyLength: i32, pointer: usize, length: i32, version: i64): i32;
@external("neap", "object_delete")
export declare function objectDelete(key: usize, keyLength: i32): i32;
@external("neap", "object_list")
export declare function objectList(prefix: usize, prefixLength: i32, after: usize, afterLength: i32, pointer: usize, capacity: i32): i32;

@external("neap", "call_start")
export declare function callStart(name: usize, nameLength: i32, input: usize, inputLength: i32): i32;
@external("neap", "call_start_bound")
export declare function callStartBound(name: usize, nameLength: i32, input: usize, inputLength: i32): i32;
@external("neap", "call_spawn")
export declare function callSpawn(name: usize, nameLength: i32, input: usize, inputLength: i32, delayMs: i64, id: usize, idCapacity: i32): i32;
@external("neap", "call_select")
export declare function callSelect(handles: usize, count: i32): i32;
@external("neap", "call_cancel")
export declare function callCancel(handle: i32): i32;
@external("neap", "call_await")
export declare function callAwait(handle: i32, pointer: usize, capacity: i32, returnValue: usize): i64;
@external("neap", "sleep")
export declare function sleepMs(durationMs: i64): void;

@external("neap", "storage_call")
export declare function storageCall(key: usize, keyLength: i32, tableIndex: u32): i32;

@external("neap", "log_append")
export declare function logAppend(tags: usize, tagsLength: i32, when: usize, whenLength: i32, pointer: usize, length: i32, closes: i32, outcome: usize): i64;
@external("neap", "log_post")
export declare function logPost(tags: usize, tagsLength: i32, pointer: usize, length: i32): i32;
@external("neap", "log_read_prev")
export declare function logReadPrev(tag: usize, tagLength: i32, max: i64, pointer: usize, capacity: i32, head: usize): i64;
@external("neap", "log_read_next")
export declare function logReadNext(tag: usize, tagLength: i32, min: i64, pointer: usize, capacity: i32, head: usize): i64;
@external("neap", "log_await_next")
export declare function logAwaitNext(tag: usize, tagLength: i32, min: i64, timeoutMs: i64, pointer: usize, capacity: i32, head: usize): i64;
@external("neap", "log_tail")
export declare function logTail(tag: usize, tagLength: i32, tail: usize): i32;
@external("neap", "log_trim")
export declare function logTrim(tag: usize, tagLength: i32, upTo: i64): i32;
@external("neap", "sync")
export declare function sync(): void;
@external("neap", "fence")
export declare function fence(): void;
@external("neap", "transaction_begin")
export declare function transactionBegin(isolation: i32): i32;
@external("neap", "transaction_commit")
export declare function transactionCommit(): i32;
@external("neap", "transaction_conflict")
export declare function transactionConflict(pointer: usize, capacity: i32): i32;
@external("neap", "transaction_abort")
export declare function transactionAbort(): i32;
@external("neap", "lock")
export declare function lock(name: usize, nameLength: i32): i64;
@external("neap", "lock_try")
export declare function lockTry(name: usize, nameLength: i32): i64;
@external("neap", "unlock")
export declare function unlock(name: usize, nameLength: i32): i32;

@external("neap", "http_request")
export declare function httpRequest(method: usize, methodLength: i32, url: usize, urlLength: i32, headers: usize, headersLength: i32, body: usize, bodyLength: i32, flags: i32): i32;
@external("neap", "http_read")
export declare function httpRead(part: i32, offset: i64, pointer: usize, capacity: i32): i64;

@external("neap", "clock_now")
export declare function clockNow(): i64;
@external("neap", "random_fill")
export declare function randomFill(pointer: usize, length: i32): void;

@external("neap", "threads_max")
export declare function threadsMax(): i32;
@external("wasi", "thread-spawn")
export declare function threadSpawn(argument: usize): i32;
