/*
 * Locks: at most one call at a time holds a lock of a name. All functions of one call, called ones too, may take it again; it is free when
 * it was given back as often as it was taken. The end of the function that took it gives it back, so does the end of the transaction that
 * it was taken in. What was written before is seen by whoever takes it next.
 */
#ifndef NEAP_LOCK_H
#define NEAP_LOCK_H

#include "../neap.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline int64_t neap_lock_checked(int64_t code, const char *name) {
  if (code >= 0) return code;
  if (code == NEAP_INVALID) neap_fail_name("lock", name);
  neap_fail_at("lock", name,
               code == NEAP_NOT_HELD      ? "is not held by this function"
               : code == NEAP_NOT_IN_PART ? "is not possible inside a storage part"
                                          : "is one more than the 100 that a function may hold");
}

/*
 * Waits as long as another call holds it. Returns a token, larger than that of any holder before: for systems outside that shall refuse a
 * holder whose lock an administrator took away.
 */
static inline int64_t neap_lock(const char *name) { return neap_lock_checked(neap_host_lock(name, (int32_t)strlen(name)), name); }

/* The token; 0 when another call holds it. */
static inline int64_t neap_try_lock(const char *name) {
  return neap_lock_checked(neap_host_lock_try(name, (int32_t)strlen(name)), name);
}

/* Gives it back once. */
static inline void neap_unlock(const char *name) { neap_lock_checked(neap_host_unlock(name, (int32_t)strlen(name)), name); }

#ifdef __cplusplus
}
#endif

#endif
