/* Made from guest-sdk/abi.json by `npm run docs`. Change that file, not this one. */

/* What modules for Faasm and AutoNDP import: docs/guides/faasm.md. New functions use neap.h. */
#ifndef NEAP_FAASM_H
#define NEAP_FAASM_H

#include <stdint.h>

#include "neap/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (buf, len) → size of the input if len is 0; else copies min(size, len) bytes of it to buf and answers their number. */
__attribute__((import_module("env"), import_name("__faasm_read_input")))
int32_t __faasm_read_input(void *buf, int32_t len);

/* (ptr, len) The bytes become the call's output in place of what was written so before. Standard output comes in front of them. */
__attribute__((import_module("env"), import_name("__faasm_write_output")))
void __faasm_write_output(void *ptr, int32_t len);

/* (name) → 1 for ALWAYS_ON, else 0: no flag of Faasm's is set here. */
__attribute__((import_module("env"), import_name("__faasm_conf_flag")))
int32_t __faasm_conf_flag(const void *name);

/* (depth) Writes the functions that are being called to the call's log, at most depth and 64. */
__attribute__((import_module("env"), import_name("__faasm_backtrace")))
void __faasm_backtrace(int32_t depth);

/* (name, in, inLen) → id of the call of a function of the same tenant, which begins now. It inherits cmdline and forbid_ndp. */
__attribute__((import_module("env"), import_name("__faasm_chain_name")))
int32_t __faasm_chain_name(const void *name, const void *in, int32_t inLen);

/* (tableIndex, in, inLen) → id of a call of the same module, in a memory of its own, whose entry is the function of the table: () → i32, or i32 → i32, which gets the input as a decimal number. */
__attribute__((import_module("env"), import_name("__faasm_chain_ptr")))
int32_t __faasm_chain_ptr(int32_t tableIndex, const void *in, int32_t inLen);

/* (id) → the call's return value. There is no limit of its own for the time that it waits. */
__attribute__((import_module("env"), import_name("__faasm_await_call")))
int32_t __faasm_await_call(int32_t id);

/* (id, buf, len) → the call's return value; copies min(size, len) bytes of its output to buf. AutoNDP's form: later versions of Faasm give the same import an address for a pointer. */
__attribute__((import_module("env"), import_name("__faasm_await_call_output")))
int32_t __faasm_await_call_output(int32_t id, void *buf, int32_t len);

/* (key, keyLen, data, dataLen) → 0. Writes the whole object. */
__attribute__((import_module("env"), import_name("__faasmndp_put")))
int32_t __faasmndp_put(const void *key, int32_t keyLen, const void *data, int32_t dataLen);

/* (key, keyLen, offset, maxLen, lenPtr) → address of a copy of the object's bytes from offset, at most maxLen, in memory that is added for it; their number is stored as u32 at lenPtr. What a storage part has mapped is zero and free at its end, wherever it ran. */
__attribute__((import_module("env"), import_name("__faasmndp_getMmap")))
int32_t __faasmndp_getMmap(const void *key, int32_t keyLen, int64_t offset, int64_t maxLen, void *lenPtr);

/* (ptr, len) → 0. The pages are zero and can be mapped again; nothing happens to memory that was not mapped. */
__attribute__((import_module("env"), import_name("__faasmndp_unmap")))
int32_t __faasmndp_unmap(void *ptr, int32_t len);

/* (key, keyLen, tableIndex) → value of the table's function, () → i32, which runs near the object, or here. Its memory comes back whatever it returns. */
__attribute__((import_module("env"), import_name("__faasmndp_storageCallAndAwait")))
int32_t __faasmndp_storageCallAndAwait(const void *key, int32_t keyLen, int32_t tableIndex);

/* (key, keyLen, tableIndex, a) → the same for a function i32 → i32. */
__attribute__((import_module("env"), import_name("__faasmndp_storageCallAndAwait1")))
int32_t __faasmndp_storageCallAndAwait1(const void *key, int32_t keyLen, int32_t tableIndex, int32_t a);

/* (key, keyLen, tableIndex, a, b) → the same for a function (i32, i32) → i32. */
__attribute__((import_module("env"), import_name("__faasmndp_storageCallAndAwait2")))
int32_t __faasmndp_storageCallAndAwait2(const void *key, int32_t keyLen, int32_t tableIndex, int32_t a, int32_t b);

/* (key, buf, len) → size of the value, 0 for none; copies min(size, len) bytes of it. Every read refreshes the copy: it is what the object is, but for what the call has changed. */
__attribute__((import_module("env"), import_name("__faasm_read_state")))
int32_t __faasm_read_state(const void *key, void *buf, int32_t len);

/* (key, total) → address of the copy in the guest's memory, total bytes; zeros where the object has none. The same address for the same range. */
__attribute__((import_module("env"), import_name("__faasm_read_state_ptr")))
int32_t __faasm_read_state_ptr(const void *key, int32_t total);

/* (key, total, offset, buf, len) Copies a chunk of the value. */
__attribute__((import_module("env"), import_name("__faasm_read_state_offset")))
void __faasm_read_state_offset(const void *key, int32_t total, int32_t offset, void *buf, int32_t len);

/* (key, total, offset, len) → address of a chunk of the copy. */
__attribute__((import_module("env"), import_name("__faasm_read_state_offset_ptr")))
int32_t __faasm_read_state_offset_ptr(const void *key, int32_t total, int32_t offset, int32_t len);

/* (key, ptr, len) The copy becomes these bytes. */
__attribute__((import_module("env"), import_name("__faasm_write_state")))
void __faasm_write_state(const void *key, void *ptr, int32_t len);

/* (key, total, offset, ptr, len) Writes a chunk of the copy, which has total bytes at least. */
__attribute__((import_module("env"), import_name("__faasm_write_state_offset")))
void __faasm_write_state_offset(const void *key, int32_t total, int32_t offset, void *ptr, int32_t len);

/* (key, path) → size of the file, whose bytes the copy becomes. */
__attribute__((import_module("env"), import_name("__faasm_write_state_from_file")))
int32_t __faasm_write_state_from_file(const void *key, const void *path);

/* (key, ptr, len) Adds an element to the list of that key, which is a stream of the LogBook, at once for all. */
__attribute__((import_module("env"), import_name("__faasm_append_state")))
void __faasm_append_state(const void *key, void *ptr, int32_t len);

/* (key, buf, len, count) Copies the first count elements of the list, one behind the other, as far as there is room. */
__attribute__((import_module("env"), import_name("__faasm_read_appended_state")))
void __faasm_read_appended_state(const void *key, void *buf, int32_t len, int32_t count);

/* (key) Empties the list. */
__attribute__((import_module("env"), import_name("__faasm_clear_appended_state")))
void __faasm_clear_appended_state(const void *key);

/* (key, total) Takes over what was written through pointers: the bytes that differ. */
__attribute__((import_module("env"), import_name("__faasm_flag_state_dirty")))
void __faasm_flag_state_dirty(const void *key, int32_t total);

/* (key, total, offset, len) The same. */
__attribute__((import_module("env"), import_name("__faasm_flag_state_offset_dirty")))
void __faasm_flag_state_offset_dirty(const void *key, int32_t total, int32_t offset, int32_t len);

/* (key) Merges what the call has changed, through pointers too, into the object; nothing happens when that is nothing. Bytes that it has not changed stay as they are there. */
__attribute__((import_module("env"), import_name("__faasm_push_state")))
void __faasm_push_state(const void *key);

/* (key) The same. */
__attribute__((import_module("env"), import_name("__faasm_push_state_partial")))
void __faasm_push_state_partial(const void *key);

/* (key, maskKey) Merges, with what the call has changed, the bytes at which the other value is not 0. */
__attribute__((import_module("env"), import_name("__faasm_push_state_partial_mask")))
void __faasm_push_state_partial_mask(const void *key, const void *maskKey);

/* (key, total) The copy becomes the newest object; what the call has changed and not pushed is lost. Inside of a storage part: the object as the part sees it. */
__attribute__((import_module("env"), import_name("__faasm_pull_state")))
void __faasm_pull_state(const void *key, int32_t total);

/* (key) Waits for the lock of that name, of all nodes, and refreshes the copy. */
__attribute__((import_module("env"), import_name("__faasm_lock_state_write")))
void __faasm_lock_state_write(const void *key);

/* (key) Pushes the value and gives the lock back. */
__attribute__((import_module("env"), import_name("__faasm_unlock_state_write")))
void __faasm_unlock_state_write(const void *key);

/* (key) Waits until nobody else holds the write lock, and refreshes the copy: what the call reads from then on is of that moment, whoever writes meanwhile. */
__attribute__((import_module("env"), import_name("__faasm_lock_state_read")))
void __faasm_lock_state_read(const void *key);

/* (key) Does nothing: readers keep nobody out. */
__attribute__((import_module("env"), import_name("__faasm_unlock_state_read")))
void __faasm_unlock_state_read(const void *key);

/* (ptr, type, op, currentBatch) Declares a merge region. All threads of a call have one memory: there is nothing to merge. */
__attribute__((import_module("env"), import_name("__faasm_sm_reduce")))
void __faasm_sm_reduce(void *ptr, int32_t type, int32_t op, int32_t currentBatch);

/* () Waits until no other thread of the call is in the critical section, of which there is one. Without threads nobody is. */
__attribute__((import_module("env"), import_name("__faasm_sm_critical_local")))
void __faasm_sm_critical_local(void);

/* () Leaves the critical section. */
__attribute__((import_module("env"), import_name("__faasm_sm_critical_local_end")))
void __faasm_sm_critical_local_end(void);

/* (tableIndex, arg) A call of a migratable function that shall move is stopped here, and goes on here; the function of the table is not called. */
__attribute__((import_module("env"), import_name("__faasm_migrate_point")))
void __faasm_migrate_point(int32_t tableIndex, int32_t arg);

#ifdef __cplusplus
}
#endif

#endif
