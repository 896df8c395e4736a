/*
 * What a function in C uses of the host: input and output, objects, calls, parts that run where the data is, time and randomness.
 * Transactions, locks, the log, memory regions and requests to other systems are in neap/transaction.h, lock.h, logbook.h, region.h, http.h.
 *
 * Keys, names and texts are UTF-8 and end with a NUL. A mistake of the program, such as a key that may not be, ends the call with a
 * message; what the program must look at is a result. Bytes that a function gives are the caller's to free; a call's memory is dropped
 * as a whole when it ends, so most programs need not.
 */
#ifndef NEAP_H
#define NEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "neap/imports.h"

#ifdef __cplusplus
extern "C" {
#endif

/* There is a NUL behind the last byte, for texts; size does not count it. */
typedef struct neap_bytes {
  /* From malloc; NULL when there is no such object. */
  char *data;
  size_t size;
} neap_bytes;

/* What is read without knowing its size. */
enum { NEAP_FIRST_ROOM = 4095 };

/* ---- How a call ends ---- */

/* Ends the call: it failed, and `reason` is what the caller gets. What was written before stays written. */
static inline __attribute__((noreturn)) void neap_fail(const char *reason) {
  neap_host_fail((void *)reason, (int32_t)strlen(reason));
  __builtin_unreachable();
}

/* Fails with "<what>: '<name>' <reason>". */
static inline __attribute__((noreturn)) void neap_fail_at(const char *what, const char *name, const char *reason) {
  size_t what_size = strlen(what), name_size = strlen(name), reason_size = strlen(reason);
  char *text = (char *)malloc(what_size + name_size + reason_size + 6);
  if (text == NULL) neap_fail(what);
  char *end = text;
  memcpy(end, what, what_size);
  end += what_size;
  memcpy(end, ": '", 3);
  end += 3;
  memcpy(end, name, name_size);
  end += name_size;
  memcpy(end, "' ", 2);
  end += 2;
  memcpy(end, reason, reason_size + 1);
  neap_fail(text);
}

/* `size` bytes and a NUL. Fails when the memory is full. */
static inline neap_bytes neap_room(size_t size) {
  neap_bytes room = {(char *)malloc(size + 1), size};
  if (room.data == NULL) neap_fail("the function's memory is full");
  room.data[size] = 0;
  return room;
}

/* Fails with "<what>: '<name>' <field> is <value>, must be <limit>". */
static inline __attribute__((noreturn)) void neap_fail_number(const char *what, const char *name, const char *field, int64_t value,
                                                              const char *limit) {
  char digits[24], *at = digits + sizeof digits - 1;
  uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  *at = 0;
  do *--at = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (value < 0) *--at = '-';
  neap_bytes reason = neap_room(strlen(field) + strlen(at) + strlen(limit) + 16);
  strcat(strcat(strcat(strcat(strcpy(reason.data, field), " is "), at), ", must be "), limit);
  neap_fail_at(what, name, reason.data);
}

/*
 * Why the last commit was refused: "object <key>", "list" or "lock <name>" was changed by others, or what the transaction held too much
 * of, with the limit; "" when it was not. After a use of an object that failed: what was too large.
 */
static inline neap_bytes neap_conflict(void) {
  neap_bytes text = neap_room((size_t)neap_host_transaction_conflict(NULL, 0));
  neap_host_transaction_conflict(text.data, (int32_t)text.size);
  return text;
}

/* Fails with what was too large, and the limit. */
static inline __attribute__((noreturn)) void neap_fail_too_large(const char *what, const char *name) {
  static const char begin[] = "is not possible: ";
  neap_bytes why = neap_conflict(), reason = neap_room(strlen(begin) + why.size);
  strcat(strcpy(reason.data, begin), why.data);
  neap_fail_at(what, name, reason.data);
}

/* ---- Input, output, log ---- */

/* What the caller sent. */
static inline neap_bytes neap_input(void) {
  neap_bytes input = neap_room((size_t)neap_host_input_size());
  neap_host_input_read(input.data, 0, (int32_t)input.size);
  return input;
}

/* Adds to what the caller gets back. */
static inline void neap_output(const void *bytes, size_t size) { neap_host_output_write((void *)bytes, (int32_t)size); }

static inline void neap_print(const char *text) { neap_output(text, strlen(text)); }

/* A line in the host's log. When the host runs a call again after a crash, its lines appear again. */
static inline void neap_log(const char *text) { neap_host_log_write((void *)text, (int32_t)strlen(text)); }

/* ---- Objects ---- */

/* Fails because the host has refused a name of an object or a lock. */
static inline __attribute__((noreturn)) void neap_fail_name(const char *what, const char *name) {
  size_t size = strlen(name);
  if (size < 1 || size > 1024) neap_fail_number(what, name, "the size of the name", (int64_t)size, "1 to 1024 bytes");
  neap_fail_at(what, name, "has a control character, or is not UTF-8");
}

/* Passes sizes and "not found" on. */
static inline int64_t neap_checked(int64_t code, const char *what, const char *key) {
  if (code == NEAP_INVALID) neap_fail_name(what, key);
  if (code == NEAP_TOO_LARGE) neap_fail_too_large(what, key);
  return code;
}

/* Size in bytes, -1 when there is no such object. */
static inline int64_t neap_size(const char *key) {
  return neap_checked(neap_host_object_read(key, (int32_t)strlen(key), 0, NULL, 0, NULL), "neap_size", key);
}

/*
 * Reads a piece: the bytes from `offset` on, as many as there is room for.
 * Returns how many were read, 0 at the end of the object, -1 when there is no such object.
 */
static inline int64_t neap_read(const char *key, int64_t offset, void *room, size_t room_size) {
  if (offset < 0) neap_fail_number("neap_read", key, "offset", offset, "0 or more");
  int64_t size =
      neap_checked(neap_host_object_read(key, (int32_t)strlen(key), offset, room, (int32_t)room_size, NULL), "neap_read", key);
  if (size < 0) return -1;
  if (offset >= size) return 0;
  return size - offset < (int64_t)room_size ? size - offset : (int64_t)room_size;
}

/* Whether `value` holds all `size` bytes, or there is nothing to hold. If not it has room for them now. */
static inline bool neap_fits(neap_bytes *value, int64_t size) {
  if (size >= 0 && size <= (int64_t)value->size) {
    value->size = (size_t)size;
    value->data[size] = 0;
    return true;
  }
  free(value->data);
  neap_bytes nothing = {NULL, 0};
  *value = size < 0 ? nothing : neap_room((size_t)size);
  return size < 0;
}

/* The object, with its version for neap_put_if. data is NULL when there is none; that, too, has a version. */
static inline neap_bytes neap_get_version(const char *key, int64_t *version) {
  int32_t key_size = (int32_t)strlen(key);
  neap_bytes value = neap_room(NEAP_FIRST_ROOM);
  int64_t size;
  do {
    size = neap_checked(neap_host_object_read(key, key_size, 0, value.data, (int32_t)value.size, version), "neap_get", key);
  } while (!neap_fits(&value, size));
  return value;
}

static inline neap_bytes neap_get(const char *key) {
  int64_t version;
  return neap_get_version(key, &version);
}

/*
 * Like neap_get_version, for a change of the object: waits for the call's turn at it, so that neap_put_if will rarely have to be
 * repeated.
 *
 *   for (;;) {
 *     int64_t version;
 *     neap_bytes old = neap_get_for_update(key, &version);
 *     … compute …
 *     if (neap_put_if(key, text, size, version)) break;
 *   }
 */
static inline neap_bytes neap_get_for_update(const char *key, int64_t *version) {
  int32_t key_size = (int32_t)strlen(key);
  neap_bytes value = neap_room(NEAP_FIRST_ROOM);
  int64_t size;
  do {
    size = neap_host_object_read_for_update(key, key_size, value.data, (int32_t)value.size, version);
    neap_checked(size, "neap_get_for_update", key);
  } while (!neap_fits(&value, size));
  return value;
}

/* Writes the object if it is still at `version`; false when another call has changed it since. */
static inline bool neap_put_if(const char *key, const void *bytes, size_t size, int64_t version) {
  int32_t code = neap_host_object_update(key, (int32_t)strlen(key), (void *)bytes, (int32_t)size, version);
  return code != NEAP_CONFLICT && neap_checked(code, "neap_put_if", key) > 0;
}

/* Creates or replaces the object. */
static inline void neap_put(const char *key, const void *bytes, size_t size) {
  neap_checked(neap_host_object_write(key, (int32_t)strlen(key), (void *)bytes, (int32_t)size), "neap_put", key);
}

/* Removes the object. Nothing happens when there is none. */
static inline void neap_remove(const char *key) {
  neap_checked(neap_host_object_delete(key, (int32_t)strlen(key)), "neap_remove", key);
}

/* Calls `each` for the objects whose keys begin with `prefix`, in the order of their bytes. Returns how many there are. */
static inline size_t neap_list(const char *prefix, void (*each)(const char *key, uint64_t size, void *context), void *context) {
  enum { PAGE_BYTES = 16384, KEY_MAX_BYTES = 1024 };
  neap_bytes page = neap_room(PAGE_BYTES);
  char after[KEY_MAX_BYTES + 1] = "";
  uint16_t after_size = 0;
  for (size_t count = 0;;) {
    int64_t end = neap_checked(
        neap_host_object_list(prefix, (int32_t)strlen(prefix), after, after_size, page.data, PAGE_BYTES), "neap_list", prefix);
    if (end == 0) {
      free(page.data);
      return count;
    }
    for (const char *entry = page.data; entry < page.data + end; entry += 2 + after_size + 8) {
      uint64_t size;
      memcpy(&after_size, entry, 2);
      memcpy(after, entry + 2, after_size);
      memcpy(&size, entry + 2 + after_size, 8);
      after[after_size] = 0;
      each(after, size, context);
      count += 1;
    }
  }
}

/* ---- Calls of other functions of the same tenant ---- */

/* Passes handles and sizes on. */
static inline int64_t neap_called(int64_t code, const char *name) {
  if (code >= 0) return code;
  neap_fail_at("call of", name,
               code == NEAP_UNKNOWN_FUNCTION ? "is not possible: there is no such function"
               : code == NEAP_TOO_DEEP       ? "is not possible: calls are nested deeper than the limit callMaxDepth"
               : code == NEAP_NOT_IN_PART    ? "is not possible: this is a storage part"
               : code == NEAP_TOO_LARGE      ? "is not possible: the input is larger than 1 MiB"
                                             : "is not possible: this is not a function's name");
}

/* Starts a call and goes on. It will happen, once, whatever becomes of this one. Returns a handle for neap_await. */
static inline int neap_start(const char *name, const void *input, size_t size) {
  return (int)neap_called(neap_host_call_start(name, (int32_t)strlen(name), input, (int32_t)size), name);
}

/* Like neap_start, but the call is cancelled when this one ends without having awaited it. */
static inline int neap_start_bound(const char *name, const void *input, size_t size) {
  return (int)neap_called(neap_host_call_start_bound(name, (int32_t)strlen(name), input, (int32_t)size), name);
}

/* Waits for the end of a call. Gives its output, or the message when it trapped, and stores what its main returned: 0 is success. */
static inline neap_bytes neap_await(int handle, int *return_value) {
  neap_bytes output = neap_room(NEAP_FIRST_ROOM);
  int64_t size;
  do {
    size = neap_called(neap_host_call_await(handle, output.data, (int32_t)output.size, return_value), "an await");
  } while (!neap_fits(&output, size));
  return output;
}

/* Starts and awaits a call. */
static inline neap_bytes neap_call(const char *name, const void *input, size_t size, int *return_value) {
  return neap_await(neap_start(name, input, size), return_value);
}

/* Waits until the first of 1 to 64 calls has ended, and gives its index. */
static inline int neap_select(const int *handles, size_t count) {
  return (int)neap_called(neap_host_call_select((void *)handles, (int32_t)count), "select");
}

/* Ends a call; false when it had ended before. */
static inline bool neap_cancel(int handle) { return neap_called(neap_host_call_cancel(handle), "cancel") == 1; }

enum { NEAP_ID_BYTES = 65 };

/* Begins a call that nobody awaits, after `delay_ms`. Stores its id, with a NUL; with id NULL it goes on at once. */
static inline void neap_spawn(const char *name, const void *input, size_t size, int64_t delay_ms, char id[NEAP_ID_BYTES]) {
  int32_t id_cap = id == NULL ? 0 : NEAP_ID_BYTES - 1;
  int32_t code = neap_host_call_spawn(name, (int32_t)strlen(name), input, (int32_t)size, delay_ms, id, id_cap);
  int64_t id_size = neap_called(code, name);
  if (id != NULL) id[id_size] = 0;
}

/* Waits. A call that the host has to run again sleeps only for what is left. Not inside a storage part. */
static inline void neap_sleep(int64_t duration_ms) { neap_host_sleep(duration_ms); }

/* ---- Parts that run where the data is ---- */

/*
 * Runs `part` on the node that holds the object, when the host finds that cheaper than moving the object; else right here. Memory and
 * result are the same in both cases. A part reads and writes objects; it cannot call functions or sleep. What it leaves changed in
 * memory comes back over the network: clear large buffers before it returns. Returns what `part` returned; use values from 0 on.
 */
static inline int neap_run_at(const char *key, int (*part)(void)) {
  int32_t value = neap_host_storage_call(key, (int32_t)strlen(key), (int32_t)(intptr_t)part);
  return (int)neap_checked(value, "neap_run_at", key);
}

/* ---- Time, randomness, order ---- */

/* Nanoseconds since 1970; each answer is larger than the one before. The same again when the call is run again, as is randomness. */
static inline int64_t neap_now(void) { return neap_host_clock_now(); }

/* Bytes that nobody else can predict. */
static inline void neap_random_bytes(void *room, size_t size) { neap_host_random_fill(room, (int32_t)size); }

/* From 0 up to, but not including, 1. */
static inline double neap_random(void) {
  uint64_t bits;
  neap_random_bytes(&bits, sizeof bits);
  return (double)(bits >> 11) / 9007199254740992.0;
}

/* Reads behind it see every write that had ended before it began. */
static inline void neap_sync(void) { neap_host_sync(); }

/* What is written behind it is later than what was written before, for every reader. */
static inline void neap_fence(void) { neap_host_fence(); }

#ifdef __cplusplus
}
#endif

#endif
