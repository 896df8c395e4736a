/* Made from guest-sdk/abi.json by `npm run docs`. Change that file, not this one. */

/* The host's imports as they are. neap.h and neap.hpp have what most functions need, in the ways of C and C++. */
#ifndef NEAP_IMPORTS_H
#define NEAP_IMPORTS_H

#include <stdint.h>

/* Imports answer these instead of a result. */
enum neap_error {
  /* notFound: the object does not exist, or no such record. */
  NEAP_NOT_FOUND = -1,
  /* invalid: a key, name, handle or size is out of range. */
  NEAP_INVALID = -2,
  /* notInPart: calls cannot be started or awaited inside a storage part. */
  NEAP_NOT_IN_PART = -3,
  /* unknownFunction: the tenant has no function of that name. */
  NEAP_UNKNOWN_FUNCTION = -4,
  /* tooLarge: larger than a limit of this host, or than the room the guest gave. */
  NEAP_TOO_LARGE = -5,
  /* conflict: the object was changed since its version was read, or a condition on a stream failed; of a commit: so was something that the transaction rests on. */
  NEAP_CONFLICT = -6,
  /* tooDeep: calls are nested deeper than callMaxDepth says. */
  NEAP_TOO_DEEP = -7,
  /* closed: the stream is closed. */
  NEAP_CLOSED = -20,
  /* trimmed: the records asked for are trimmed. */
  NEAP_TRIMMED = -21,
  /* gap: the stream has fewer records than the condition says. */
  NEAP_GAP = -22,
  /* inTransaction: a transaction is open already, this function's or that of a caller. */
  NEAP_IN_TRANSACTION = -40,
  /* noTransaction: no transaction is open that this function has begun. */
  NEAP_NO_TRANSACTION = -41,
  /* openCalls: calls that were started in the transaction have not been awaited. */
  NEAP_OPEN_CALLS = -42,
  /* notHeld: this function does not hold the lock. */
  NEAP_NOT_HELD = -43,
  /* noAnswer: the request has no answer; http_read says why. */
  NEAP_NO_ANSWER = -60,
};

#ifdef __cplusplus
extern "C" {
#endif

/* () → size of the call's input in bytes. */
__attribute__((import_module("neap"), import_name("input_size")))
int32_t neap_host_input_size(void);

/* (ptr, offset, len) → bytes copied: up to len bytes of the input from offset; 0 at and behind its end. */
__attribute__((import_module("neap"), import_name("input_read")))
int32_t neap_host_input_read(void *ptr, int32_t offset, int32_t len);

/* (ptr, len) Appends to the call's output. Output above the host's limit ends the call. */
__attribute__((import_module("neap"), import_name("output_write")))
void neap_host_output_write(void *ptr, int32_t len);

/* (ptr, len) Writes UTF-8 text to the host's log: outside exactly-once, a call that is run again logs again. Text above the host's limit per call is dropped. */
__attribute__((import_module("neap"), import_name("log_write")))
void neap_host_log_write(void *ptr, int32_t len);

/* (ptr, len) Ends the call: it failed, and this UTF-8 text of at most 4096 bytes is why. What is longer is cut. */
__attribute__((import_module("neap"), import_name("fail")))
void neap_host_fail(void *ptr, int32_t len);

/* (key, keyLen, offset, ptr, cap, versionPtr) → size of the whole object; copies min(cap, size - offset) bytes from offset and stores the version as i64 at versionPtr, unless that is 0. */
__attribute__((import_module("neap"), import_name("object_read")))
int64_t neap_host_object_read(const void *key, int32_t keyLen, int64_t offset, void *ptr, int32_t cap, void *versionPtr);

/* (key, keyLen, ptr, cap, versionPtr) → like object_read from offset 0, after waiting for the call's turn at the object: the version is as new as can be, and object_update will rarely conflict. An object that does not exist gives -1 and version 0, which object_update takes. */
__attribute__((import_module("neap"), import_name("object_read_for_update")))
int64_t neap_host_object_read_for_update(const void *key, int32_t keyLen, void *ptr, int32_t cap, void *versionPtr);

/* (key, keyLen, ptr, len) → 0. Creates or replaces the object. The guest goes on at once. */
__attribute__((import_module("neap"), import_name("object_write")))
int32_t neap_host_object_write(const void *key, int32_t keyLen, void *ptr, int32_t len);

/* (key, keyLen, ptr, len, version) → 1: written, as version was still the newest one. On -6 read again and repeat. */
__attribute__((import_module("neap"), import_name("object_update")))
int32_t neap_host_object_update(const void *key, int32_t keyLen, void *ptr, int32_t len, int64_t version);

/* (key, keyLen) → 0, also when the object does not exist. The guest goes on at once. */
__attribute__((import_module("neap"), import_name("object_delete")))
int32_t neap_host_object_delete(const void *key, int32_t keyLen);

/* (prefix, prefixLen, after, afterLen, ptr, cap) → bytes written: one entry per object whose key starts with prefix and sorts behind after, in key order; u16 key length, key, u64 size. Whole entries only; 0 when there are no more; -5 when cap is too small for the next one. In a serializable transaction the keys are protected, the sizes are not. */
__attribute__((import_module("neap"), import_name("object_list")))
int32_t neap_host_object_list(const void *prefix, int32_t prefixLen, const void *after, int32_t afterLen, void *ptr, int32_t cap);

/* (name, nameLen, input, inputLen) → handle: 0, 1, 2 … Starts another function of the tenant, or of `<function>/<entry point>` a typed entry point, whose input and output are JSON; it runs also when it is never awaited. An unknown function shows at call_await. The input may have 1 MiB. */
__attribute__((import_module("neap"), import_name("call_start")))
int32_t neap_host_call_start(const void *name, int32_t nameLen, const void *input, int32_t inputLen);

/* (handle, ptr, cap, returnValuePtr) → size of the called function's output, of which min(cap, size) bytes are copied; stores its return value as i32 at returnValuePtr, unless that is 0. May be asked again with more room. When the function trapped, the return value is not 0 and the output is the message. */
__attribute__((import_module("neap"), import_name("call_await")))
int64_t neap_host_call_await(int32_t handle, void *ptr, int32_t cap, void *returnValuePtr);

/* (name, nameLen, input, inputLen) → handle. Like call_start, but the call is cancelled when this one ends without having awaited it. */
__attribute__((import_module("neap"), import_name("call_start_bound")))
int32_t neap_host_call_start_bound(const void *name, int32_t nameLen, const void *input, int32_t inputLen);

/* (name, nameLen, input, inputLen, delayMs, idPtr, idCap) → size of the call's id, which is stored at idPtr. Begins a call that nobody awaits, after 0 to 31622400000 ms; it runs whatever becomes of this one. idCap is at least 64. With idPtr 0 the guest goes on at once, and gets 0 also when there is no such function. The input may have 1 MiB. */
__attribute__((import_module("neap"), import_name("call_spawn")))
int32_t neap_host_call_spawn(const void *name, int32_t nameLen, const void *input, int32_t inputLen, int64_t delayMs, void *idPtr, int32_t idCap);

/* (handlesPtr, count) → index, among the 1 to 64 handles stored there as i32, of the first call that has ended. A replay gets the same. An unknown function counts as ended. */
__attribute__((import_module("neap"), import_name("call_select")))
int32_t neap_host_call_select(void *handlesPtr, int32_t count);

/* (handle) → 1: the call is cancelled, its await answers the return value 1 and the output 'cancelled'. 0: it had ended before, or was never begun. */
__attribute__((import_module("neap"), import_name("call_cancel")))
int32_t neap_host_call_cancel(int32_t handle);

/* (durationMs) Waits 0 to 31622400000 ms. A call that is run again sleeps only for what is left. Not inside a storage part. */
__attribute__((import_module("neap"), import_name("sleep")))
void neap_host_sleep(int64_t durationMs);

/* (key, keyLen, tableIndex) → what the function () → i32 at tableIndex returns. It runs where the object is if the host finds that cheaper, else here; the guest cannot tell which. Nested up to 8 deep. */
__attribute__((import_module("neap"), import_name("storage_call")))
int32_t neap_host_storage_call(const void *key, int32_t keyLen, int32_t tableIndex);

/* (tags, tagsLen, when, whenLen, ptr, len, closes, outcomePtr) → seqnum, 1 or more. Appends a record of at most 262144 bytes to streams of the tenant's log, if all conditions hold; with closes not 0 it is their last one. tags: 1 to 16 different ones, each u16 length and up to 256 bytes without control characters. when: 0 to 16 conditions, each a tag like that, u8 what, i64 value: what 0, the stream has had value records; what 1, its last record has seqnum value, 0 for none. Refused: -6 when a condition fails, -20 when a stream is closed, -22 when it has fewer records than a condition says. Stores at outcomePtr, unless that is 0, i64 seqnum: the record's, of a refusal that of the record that stood in the way, 0 when it is trimmed; i64 length of the stream, for -22; i32 which stream it was: index of the first condition on it, or number of conditions plus index of its tag. */
__attribute__((import_module("neap"), import_name("log_append")))
int64_t neap_host_log_append(const void *tags, int32_t tagsLen, const void *when, int32_t whenLen, void *ptr, int32_t len, int32_t closes, void *outcomePtr);

/* (tags, tagsLen, ptr, len) → 0. Like log_append without conditions, and the guest goes on at once. It is not told when a stream is closed: then nothing is appended. */
__attribute__((import_module("neap"), import_name("log_post")))
int32_t neap_host_log_post(const void *tags, int32_t tagsLen, void *ptr, int32_t len);

/* (tag, tagLen, max, ptr, cap, headPtr) → size of the last record of the stream with a seqnum up to max, of which min(cap, size) bytes are copied; stores at headPtr, unless that is 0, i64 seqnum and i32 whether it closed the stream. -21: the records asked for are trimmed, and the seqnum stored is the last one that is gone. Appends nothing when max is not beyond the call's cursor. */
__attribute__((import_module("neap"), import_name("log_read_prev")))
int64_t neap_host_log_read_prev(const void *tag, int32_t tagLen, int64_t max, void *ptr, int32_t cap, void *headPtr);

/* (tag, tagLen, min, ptr, cap, headPtr) → like log_read_prev, for the first record with a seqnum of min or more. Appends nothing when that is not beyond the call's cursor. */
__attribute__((import_module("neap"), import_name("log_read_next")))
int64_t neap_host_log_read_next(const void *tag, int32_t tagLen, int64_t min, void *ptr, int32_t cap, void *headPtr);

/* (tag, tagLen, min, timeoutMs, ptr, cap, headPtr) → like log_read_next, and waits 0 to 2147483647 ms for such a record, but no longer than half of the call's time limit; -1 when none has come, or none can as the stream is closed. */
__attribute__((import_module("neap"), import_name("log_await_next")))
int64_t neap_host_log_await_next(const void *tag, int32_t tagLen, int64_t min, int64_t timeoutMs, void *ptr, int32_t cap, void *headPtr);

/* (tag, tagLen, tailPtr) → 0. Stores the stream as it is now: i64 records ever appended, i64 seqnum of the last one or 0, i64 seqnum up to which they are trimmed or 0, i32 whether it is closed. */
__attribute__((import_module("neap"), import_name("log_tail")))
int32_t neap_host_log_tail(const void *tag, int32_t tagLen, void *tailPtr);

/* (tag, tagLen, upTo) → 0. Takes away the stream's records with a seqnum up to upTo, of all streams of the tenant's functions when tagLen is 0. A record stays in its other streams. The guest goes on at once. */
__attribute__((import_module("neap"), import_name("log_trim")))
int32_t neap_host_log_trim(const void *tag, int32_t tagLen, int64_t upTo);

/* (method, methodLen, url, urlLen, headers, headersLen, body, bodyLen, flags) → status of the answer. Sends an HTTP request to a host that the operator allows; follows up to 5 redirects. headers: lines 'name: value', up to 16384 bytes; the body may have 1 MiB. Adds the header Idempotency-Key, unless it is there, with a value that is the same whenever this request is sent again: that is done when a run was cut off before the answer was logged. With flags 1 it is not sent again, and has no answer then. Not inside a transaction. */
__attribute__((import_module("neap"), import_name("http_request")))
int32_t neap_host_http_request(const void *method, int32_t methodLen, const void *url, int32_t urlLen, const void *headers, int32_t headersLen, const void *body, int32_t bodyLen, int32_t flags);

/* (part, offset, ptr, cap) → size of a part of what the call's last http_request got, of which min(cap, size - offset) bytes are copied from offset. Part 0: the headers as lines 'name: value'; part 1: the body, as it came. After -60 part 0 is the error code and part 1 its message. Gives the same in every replay. */
__attribute__((import_module("neap"), import_name("http_read")))
int64_t neap_host_http_read(int32_t part, int64_t offset, void *ptr, int32_t cap);

/* () → time in ns since 1970: that of the call's start or of the newest record it has seen, plus a count that makes every answer larger than the one before. */
__attribute__((import_module("neap"), import_name("clock_now")))
int64_t neap_host_clock_now(void);

/* (ptr, len) Fills with bytes that nobody else can predict, from the call's secret seed. */
__attribute__((import_module("neap"), import_name("random_fill")))
void neap_host_random_fill(void *ptr, int32_t len);

/* () Moves the call's cursor to now: reads behind it see every write that had ended before it began. The guest goes on at once. Not inside a storage part. */
__attribute__((import_module("neap"), import_name("sync")))
void neap_host_sync(void);

/* () Orders the call's writes: what it writes behind the fence is later than what it wrote before, for every reader and in every mode. The guest goes on at once. Not inside a storage part. */
__attribute__((import_module("neap"), import_name("fence")))
void neap_host_fence(void);

/* (isolation) → 0. Until its commit or abort every read and list is of this moment, and writes stay with the transaction. Isolation: 0 serializable, 1 snapshot, 2 read-atomic. Functions called inside run in it too. Holds at most 1,000 objects, 300 of them written, 1,000,000 bytes and 200 values above 4 KiB; beyond that reads and the commit answer -5. */
__attribute__((import_module("neap"), import_name("transaction_begin")))
int32_t neap_host_transaction_begin(int32_t isolation);

/* () → 1: everything written inside the transaction is there, at one moment. Any error but -41, -42 and -3 ends the transaction, and nothing of it was written. */
__attribute__((import_module("neap"), import_name("transaction_commit")))
int32_t neap_host_transaction_commit(void);

/* (ptr, cap) → size of the text, of which min(cap, size) bytes are copied, that says why the call's last commit was refused: what it found changed with -6 ("object <key>", "list", "lock <name>"), what the transaction held too much of, and the limit, with -5. 0 after any other answer of a commit. Behind a -5 of an import of objects: what was too large, the value or the open transaction, with size and limit. */
__attribute__((import_module("neap"), import_name("transaction_conflict")))
int32_t neap_host_transaction_conflict(void *ptr, int32_t cap);

/* () → 0. Ends the transaction; nothing of it was written. */
__attribute__((import_module("neap"), import_name("transaction_abort")))
int32_t neap_host_transaction_abort(void);

/* (name, nameLen) → token, above 0. Waits until no other call holds the lock. Functions of the same call (caller, called) may take it again; it is free when it was given back as often. The end of the function that took it, or of the transaction it was taken in, gives it back. At most 100 locks per function. */
__attribute__((import_module("neap"), import_name("lock")))
int64_t neap_host_lock(const void *name, int32_t nameLen);

/* (name, nameLen) → like lock without waiting: 0 when another call holds it. */
__attribute__((import_module("neap"), import_name("lock_try")))
int64_t neap_host_lock_try(const void *name, int32_t nameLen);

/* (name, nameLen) → 0. Gives the lock back once. */
__attribute__((import_module("neap"), import_name("unlock")))
int32_t neap_host_unlock(const void *name, int32_t nameLen);

/* () → threads that the call may have at once, its main thread included, but not more than the machine can run at once. */
__attribute__((import_module("neap"), import_name("threads_max")))
int32_t neap_host_threads_max(void);

/* (name, nameLen, size, max) → handle, above 0, the same for every function of the tenant on this node. Makes the region, size bytes of zeros that may grow up to max, unless it is there; a shorter one grows. With size 0 it is only opened. It stays open until the call ends. */
__attribute__((import_module("region"), import_name("open")))
int32_t neap_region_open(const void *name, int32_t nameLen, int32_t size, int32_t max);

/* (handle, size) → 0. The region has at least size bytes from now on, for everybody at once; it never shrinks. */
__attribute__((import_module("region"), import_name("grow")))
int32_t neap_region_grow(int32_t handle, int32_t size);

/* (handle, mode) Waits for the region's lock, mode 0: with other readers, 1: alone; first come, first served → 0, or 1 when the last writer ended without giving it back. The end of the call gives it back. A call holds it once. */
__attribute__((import_module("region"), import_name("lock")))
int32_t neap_region_lock(int32_t handle, int32_t mode);

/* (handle) → 0. Gives the region's lock back. */
__attribute__((import_module("region"), import_name("unlock")))
int32_t neap_region_unlock(int32_t handle);

/* (handle, offset, expected, timeoutMs) → 0 when notified, 1 when the i32 at offset is not expected, 2 when the time is over; with timeoutMs below 0 it never is. Blocks no thread. offset is a multiple of 4. */
__attribute__((import_module("region"), import_name("wait")))
int32_t neap_region_wait(int32_t handle, int32_t offset, int32_t expected, int64_t timeoutMs);

/* (handle, offset, count) → how many of those who wait at offset were woken: those who came first, up to count. */
__attribute__((import_module("region"), import_name("notify")))
int32_t neap_region_notify(int32_t handle, int32_t offset, int32_t count);

/* (handle, offset, len, key, keyLen) → 0. The object's value becomes these bytes of the region. */
__attribute__((import_module("region"), import_name("push")))
int32_t neap_region_push(int32_t handle, int32_t offset, int32_t len, const void *key, int32_t keyLen);

/* (handle, offset, len, key, keyLen, at) → 0. These bytes of the region replace those of the object from at on; the rest of the object stays as it is now. What lies between its end and at becomes zeros. */
__attribute__((import_module("region"), import_name("push_partial")))
int32_t neap_region_push_partial(int32_t handle, int32_t offset, int32_t len, const void *key, int32_t keyLen, int64_t at);

/* (handle, offset, len, key, keyLen) → 0. Adds these bytes of the region to the end of the object. */
__attribute__((import_module("region"), import_name("append")))
int32_t neap_region_append(int32_t handle, int32_t offset, int32_t len, const void *key, int32_t keyLen);

/* (handle, offset, len, key, keyLen, at) → size of the object as it is now; copies min(len, size - at) bytes of it, from at on, into the region. */
__attribute__((import_module("region"), import_name("pull")))
int64_t neap_region_pull(int32_t handle, int32_t offset, int32_t len, const void *key, int32_t keyLen, int64_t at);

/* (handle, offset, len, ptr) → 0. Copies up to 1 MiB of the region into the guest's memory and logs them: a replay gets the same bytes. */
__attribute__((import_module("region"), import_name("snapshot")))
int32_t neap_region_snapshot(int32_t handle, int32_t offset, int32_t len, void *ptr);

/* Inline: the host puts the access into the module at its upload. (handle) → size of the region in bytes, 0 for a handle of no region. */
__attribute__((import_module("region"), import_name("size")))
int32_t neap_region_size(int32_t handle);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_load8_s")))
int32_t neap_region_i32_load8_s(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_load8_u")))
int32_t neap_region_i32_load8_u(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_load16_s")))
int32_t neap_region_i32_load16_s(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_load16_u")))
int32_t neap_region_i32_load16_u(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_load")))
int32_t neap_region_i32_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_load")))
int64_t neap_region_i64_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("f32_load")))
float neap_region_f32_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("f64_load")))
double neap_region_f64_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_store8")))
void neap_region_i32_store8(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_store16")))
void neap_region_i32_store16(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_store")))
void neap_region_i32_store(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_store")))
void neap_region_i64_store(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("f32_store")))
void neap_region_f32_store(int32_t handle, int32_t offset, float value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("f64_store")))
void neap_region_f64_store(int32_t handle, int32_t offset, double value);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. The offset of an atomic access is a multiple of its size. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_load")))
int32_t neap_region_i32_atomic_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_store")))
void neap_region_i32_atomic_store(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_add")))
int32_t neap_region_i32_atomic_add(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_sub")))
int32_t neap_region_i32_atomic_sub(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_and")))
int32_t neap_region_i32_atomic_and(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_or")))
int32_t neap_region_i32_atomic_or(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_xor")))
int32_t neap_region_i32_atomic_xor(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_xchg")))
int32_t neap_region_i32_atomic_xchg(int32_t handle, int32_t offset, int32_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, expected, replacement) → value before; replaced if that was expected. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i32_atomic_cmpxchg")))
int32_t neap_region_i32_atomic_cmpxchg(int32_t handle, int32_t offset, int32_t expected, int32_t replacement);

/* Inline: the host puts the access into the module at its upload. (handle, offset) → value. The offset of an atomic access is a multiple of its size. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_load")))
int64_t neap_region_i64_atomic_load(int32_t handle, int32_t offset);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_store")))
void neap_region_i64_atomic_store(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_add")))
int64_t neap_region_i64_atomic_add(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_sub")))
int64_t neap_region_i64_atomic_sub(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_and")))
int64_t neap_region_i64_atomic_and(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_or")))
int64_t neap_region_i64_atomic_or(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_xor")))
int64_t neap_region_i64_atomic_xor(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value) → value before. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_xchg")))
int64_t neap_region_i64_atomic_xchg(int32_t handle, int32_t offset, int64_t value);

/* Inline: the host puts the access into the module at its upload. (handle, offset, expected, replacement) → value before; replaced if that was expected. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("i64_atomic_cmpxchg")))
int64_t neap_region_i64_atomic_cmpxchg(int32_t handle, int32_t offset, int64_t expected, int64_t replacement);

/* Inline: the host puts the access into the module at its upload. (handle, offset, ptr, len) Copies from the region into the guest's memory. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("read")))
void neap_region_read(int32_t handle, int32_t offset, void *ptr, int32_t len);

/* Inline: the host puts the access into the module at its upload. (handle, offset, ptr, len) Copies from the guest's memory into the region. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("write")))
void neap_region_write(int32_t handle, int32_t offset, void *ptr, int32_t len);

/* Inline: the host puts the access into the module at its upload. (handle, offset, value, len) Fills the range with a byte. Outside of the region the call ends. */
__attribute__((import_module("region"), import_name("fill")))
void neap_region_fill(int32_t handle, int32_t offset, int32_t value, int32_t len);

#ifdef __cplusplus
}
#endif

#endif
