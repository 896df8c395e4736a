/*
 * Transactions: several objects are read at one moment, and what is written is there at one moment, or not at all. Inside use the functions
 * of neap.h as always; functions that are called inside run in it too, and must be awaited before its end. A transaction holds at most
 * 1,000 objects, 300 of them written, 1,000,000 bytes and 200 values above 4 KiB.
 */
#ifndef NEAP_TRANSACTION_H
#define NEAP_TRANSACTION_H

#include "../neap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What others may do between the beginning of a transaction and its commit, without it being refused. */
enum neap_isolation {
  /* Nothing that it noticed: as if transactions ran one after the other. */
  NEAP_SERIALIZABLE = 0,
  /* Change what it only read. */
  NEAP_SNAPSHOT = 1,
  /* Anything: what it writes may be computed from what is gone. */
  NEAP_READ_ATOMIC = 2,
};

static inline int32_t neap_transaction_checked(int32_t code, const char *what) {
  if (code >= 0 || code == NEAP_CONFLICT) return code;
  if (code == NEAP_TOO_LARGE) neap_fail_too_large("transaction", what);
  neap_fail_at("transaction", what,
               code == NEAP_IN_TRANSACTION   ? "is not possible: a transaction is open already"
               : code == NEAP_NO_TRANSACTION ? "is not possible: this function has begun no transaction"
               : code == NEAP_OPEN_CALLS     ? "is not possible: calls that were started inside have not been awaited"
                                             : "is not possible inside a storage part");
}

static inline void neap_check_isolation(enum neap_isolation isolation) {
  if ((int32_t)isolation < 0 || (int32_t)isolation > 2) {
    neap_fail_number("transaction", "begin", "isolation", (int32_t)isolation, "0 (serializable), 1 (snapshot) or 2 (read-atomic)");
  }
}

/* Not inside another one: see neap_transact. */
static inline void neap_begin(enum neap_isolation isolation) {
  neap_check_isolation(isolation);
  neap_transaction_checked(neap_host_transaction_begin((int32_t)isolation), "begin");
}

/* False when what it rests on was changed by others: nothing was written, begin again. */
static inline bool neap_commit(void) { return neap_transaction_checked(neap_host_transaction_commit(), "commit") != NEAP_CONFLICT; }

/* Nothing of it was written. */
static inline void neap_abort(void) { neap_transaction_checked(neap_host_transaction_abort(), "abort"); }

/*
 * Runs `body` in a transaction, again and again until it commits. When a caller has begun one already, `body` runs once and is a part
 * of that.
 */
static inline void neap_transact(enum neap_isolation isolation, void (*body)(void *context), void *context) {
  neap_check_isolation(isolation);
  int32_t code = neap_host_transaction_begin((int32_t)isolation);
  if (code == NEAP_IN_TRANSACTION) {
    body(context);
    return;
  }
  neap_transaction_checked(code, "begin");
  body(context);
  while (!neap_commit()) {
    neap_begin(isolation);
    body(context);
  }
}

#ifdef __cplusplus
}
#endif

#endif
