/*
 * Memory regions: bytes that all functions of a tenant on one node share, without copying (docs/guides/regions.md). Loads, stores and atomics are
 * the imports themselves, neap_region_i32_load(handle, offset) and so on: the upload puts them into the module. What is in a region is in no
 * log. An export named neap_region_safe says that the function may be run again when its regions are gone:
 *
 *   __attribute__((export_name("neap_region_safe"))) void neap_region_safe(void) {}
 */
#ifndef NEAP_REGION_H
#define NEAP_REGION_H

#include "../neap.h"

#ifdef __cplusplus
extern "C" {
#endif

enum neap_waited { NEAP_NOTIFIED = 0, NEAP_NOT_EQUAL = 1, NEAP_TIMED_OUT = 2 };

/* Without what it is about: handles have no names here. */
static inline int64_t neap_region_checked(int64_t code, const char *name) {
  if (code >= 0) return code;
  neap_fail_at("memory region", name,
               code == NEAP_TOO_LARGE  ? "is larger than it may grow, or than what is left for this tenant's regions or for an object"
               : code == NEAP_NOT_HELD ? "is not locked by this call"
                                       : "is not possible: a name is none, a range is outside, or the lock is held already");
}

/*
 * Opens the region, or makes it: `size` bytes of zeros, which may grow up to `max`. A shorter one grows. It stays until this call has
 * ended, at least. Returns its handle.
 */
static inline int32_t neap_open_region(const char *name, size_t size, size_t max) {
  return (int32_t)neap_region_checked(neap_region_open(name, (int32_t)strlen(name), (int32_t)size, (int32_t)max), name);
}

/* Opens the region; 0 when there is none. */
static inline int32_t neap_find_region(const char *name) {
  int32_t handle = neap_region_open(name, (int32_t)strlen(name), 0, 0);
  return handle == NEAP_NOT_FOUND ? 0 : (int32_t)neap_region_checked(handle, name);
}

static inline size_t neap_size_of_region(int32_t region) { return (size_t)(uint32_t)neap_region_size(region); }

/* Makes the region at least so long, for everybody at once. */
static inline void neap_grow_region(int32_t region, size_t size) { neap_region_checked(neap_region_grow(region, (int32_t)size), "grow"); }

/* Copies bytes out of the region. */
static inline void neap_read_region(int32_t region, size_t offset, void *room, size_t size) {
  neap_region_read(region, (int32_t)offset, room, (int32_t)size);
}

/* Copies bytes into the region. */
static inline void neap_write_region(int32_t region, size_t offset, const void *bytes, size_t size) {
  neap_region_write(region, (int32_t)offset, (void *)bytes, (int32_t)size);
}

/*
 * Waits for the region's lock, together with other readers or alone; first come, first served. The end of the call gives it back. A call
 * holds it once. Returns true when the last writer has ended without giving it back: what it wrote may be half done.
 */
static inline bool neap_lock_region_to_read(int32_t region) { return neap_region_checked(neap_region_lock(region, 0), "lock") == 1; }

static inline bool neap_lock_region_to_write(int32_t region) { return neap_region_checked(neap_region_lock(region, 1), "lock") == 1; }

static inline void neap_unlock_region(int32_t region) { neap_region_checked(neap_region_unlock(region), "unlock"); }

/* Waits until another function notifies at `offset`, a multiple of 4, unless the number there is not `expected`. Below 0 there is no timeout. */
static inline enum neap_waited neap_wait_in_region(int32_t region, size_t offset, int32_t expected, int64_t timeout_ms) {
  return (enum neap_waited)neap_region_checked(neap_region_wait(region, (int32_t)offset, expected, timeout_ms), "wait");
}

/* Wakes up to `count` of those who wait at `offset`. Returns how many. */
static inline int neap_notify_in_region(int32_t region, size_t offset, int count) {
  return (int)neap_region_checked(neap_region_notify(region, (int32_t)offset, count), "notify");
}

/* Makes `size` bytes from `offset` on the value of an object. Hold the lock if they must be of one moment. */
static inline void neap_push_region(int32_t region, size_t offset, size_t size, const char *key) {
  neap_region_checked(neap_region_push(region, (int32_t)offset, (int32_t)size, key, (int32_t)strlen(key)), key);
}

/* Puts them into the object at `at`; the rest of it stays. */
static inline void neap_push_part_of_region(int32_t region, size_t offset, size_t size, const char *key, int64_t at) {
  neap_region_checked(neap_region_push_partial(region, (int32_t)offset, (int32_t)size, key, (int32_t)strlen(key), at), key);
}

/* Adds them to the end of the object. */
static inline void neap_append_region(int32_t region, size_t offset, size_t size, const char *key) {
  neap_region_checked(neap_region_append(region, (int32_t)offset, (int32_t)size, key, (int32_t)strlen(key)), key);
}

/*
 * Copies the object as it is now, from its byte `at` on up to `size` bytes, to `offset`. Returns the size of the whole object, -1 when
 * there is none.
 */
static inline int64_t neap_pull_region(int32_t region, size_t offset, size_t size, const char *key, int64_t at) {
  int64_t whole = neap_region_pull(region, (int32_t)offset, (int32_t)size, key, (int32_t)strlen(key), at);
  return whole == NEAP_NOT_FOUND ? -1 : neap_region_checked(whole, key);
}

/* A logged copy: when the host runs the call again, it gets the same bytes. At most 1 MiB. */
static inline void neap_snapshot_region(int32_t region, size_t offset, void *room, size_t size) {
  neap_region_checked(neap_region_snapshot(region, (int32_t)offset, (int32_t)size, room), "snapshot");
}

#ifdef __cplusplus
}
#endif

#endif
