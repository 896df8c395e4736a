/*
 * Threads of a call, for C libraries that have none, as Debian's: docs/guides/threads.md#pthreads. Imports; types are those of the library,
 * which has them for threads of other targets. What is not here is not offered.
 */
#ifndef NEAP_PTHREAD_H
#define NEAP_PTHREAD_H

#define __NEED_pthread_t
#define __NEED_pthread_attr_t
#define __NEED_pthread_mutex_t
#define __NEED_pthread_mutexattr_t
#define __NEED_pthread_cond_t
#define __NEED_pthread_condattr_t
#define __NEED_pthread_once_t
#define __NEED_pthread_key_t
#include <bits/alltypes.h>
#include <stddef.h>
#include <time.h>

#include "neap/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_PTHREAD(name) __attribute__((import_module("env"), import_name(#name))) name

#define PTHREAD_CREATE_JOINABLE 0
#define PTHREAD_CREATE_DETACHED 1
#define PTHREAD_MUTEX_NORMAL 0
#define PTHREAD_MUTEX_DEFAULT 0
#define PTHREAD_MUTEX_RECURSIVE 1
#define PTHREAD_MUTEX_ERRORCHECK 2

#define PTHREAD_MUTEX_INITIALIZER { { { 0 } } }
#define PTHREAD_COND_INITIALIZER { { { 0 } } }
#define PTHREAD_ONCE_INIT 0

/* All answer 0, or a number of errno.h. */

/* EAGAIN when the call has as many threads as it may have. */
int NEAP_PTHREAD(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int NEAP_PTHREAD(pthread_join)(pthread_t thread, void **value);
int NEAP_PTHREAD(pthread_detach)(pthread_t thread);
/* Not in the main thread, with which the call ends. */
__attribute__((noreturn)) void NEAP_PTHREAD(pthread_exit)(void *value);
pthread_t NEAP_PTHREAD(pthread_self)(void);
int NEAP_PTHREAD(pthread_equal)(pthread_t one, pthread_t other);

int NEAP_PTHREAD(pthread_attr_init)(pthread_attr_t *attributes);
int NEAP_PTHREAD(pthread_attr_destroy)(pthread_attr_t *attributes);
/* Sets nothing: each thread has a stack of 1 MiB. */
int NEAP_PTHREAD(pthread_attr_setstacksize)(pthread_attr_t *attributes, size_t sizeBytes);
int NEAP_PTHREAD(pthread_attr_setdetachstate)(pthread_attr_t *attributes, int isDetached);

int NEAP_PTHREAD(pthread_mutexattr_init)(pthread_mutexattr_t *attributes);
int NEAP_PTHREAD(pthread_mutexattr_destroy)(pthread_mutexattr_t *attributes);
int NEAP_PTHREAD(pthread_mutexattr_settype)(pthread_mutexattr_t *attributes, int type);
int NEAP_PTHREAD(pthread_mutex_init)(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int NEAP_PTHREAD(pthread_mutex_destroy)(pthread_mutex_t *mutex);
int NEAP_PTHREAD(pthread_mutex_lock)(pthread_mutex_t *mutex);
int NEAP_PTHREAD(pthread_mutex_trylock)(pthread_mutex_t *mutex);
int NEAP_PTHREAD(pthread_mutex_unlock)(pthread_mutex_t *mutex);

int NEAP_PTHREAD(pthread_cond_init)(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int NEAP_PTHREAD(pthread_cond_destroy)(pthread_cond_t *condition);
int NEAP_PTHREAD(pthread_cond_wait)(pthread_cond_t *condition, pthread_mutex_t *mutex);
/* until: by the clock of the call. */
int NEAP_PTHREAD(pthread_cond_timedwait)(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int NEAP_PTHREAD(pthread_cond_signal)(pthread_cond_t *condition);
int NEAP_PTHREAD(pthread_cond_broadcast)(pthread_cond_t *condition);

int NEAP_PTHREAD(pthread_once)(pthread_once_t *control, void (*run)(void));

/* Destructors run at the end of each thread but the main one. */
int NEAP_PTHREAD(pthread_key_create)(pthread_key_t *key, void (*destructor)(void *));
int NEAP_PTHREAD(pthread_key_delete)(pthread_key_t key);
void *NEAP_PTHREAD(pthread_getspecific)(pthread_key_t key);
int NEAP_PTHREAD(pthread_setspecific)(pthread_key_t key, const void *value);

#undef NEAP_PTHREAD

#ifdef __cplusplus
}
#endif

#endif
