/* OpenMP's functions as this host has them: docs/guides/threads.md. Imports, by the names of LLVM's runtime. */
#ifndef NEAP_OMP_H
#define NEAP_OMP_H

#include <stdint.h>

#include "neap/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_OMP(name) __attribute__((import_module("env"), import_name(#name))) name

/* Begins as zeros, or by omp_init_lock. */
typedef struct {
  int32_t words[6];
} omp_lock_t;

/* Begins by omp_init_nest_lock. */
typedef struct {
  int32_t words[6];
} omp_nest_lock_t;

/* Of the region that runs. */
int NEAP_OMP(omp_get_num_threads)(void);
int NEAP_OMP(omp_get_thread_num)(void);
int NEAP_OMP(omp_in_parallel)(void);
/* Regions that the thread is in; those of several threads: 0 or 1. */
int NEAP_OMP(omp_get_level)(void);
int NEAP_OMP(omp_get_active_level)(void);

/* Of the regions that this thread begins; at most what omp_get_thread_limit answers. */
void NEAP_OMP(omp_set_num_threads)(int threads);
int NEAP_OMP(omp_get_max_threads)(void);
int NEAP_OMP(omp_get_thread_limit)(void);
int NEAP_OMP(omp_get_num_procs)(void);

/* Regions inside of others have one thread, and a region has as many threads as was said: the first three set nothing. */
void NEAP_OMP(omp_set_nested)(int nested);
void NEAP_OMP(omp_set_max_active_levels)(int levels);
void NEAP_OMP(omp_set_dynamic)(int dynamic);
int NEAP_OMP(omp_get_nested)(void);
int NEAP_OMP(omp_get_max_active_levels)(void);
int NEAP_OMP(omp_get_dynamic)(void);

/* Seconds by the clock of the call, which stands still while it computes. */
double NEAP_OMP(omp_get_wtime)(void);
double NEAP_OMP(omp_get_wtick)(void);

void NEAP_OMP(omp_init_lock)(omp_lock_t *lock);
void NEAP_OMP(omp_destroy_lock)(omp_lock_t *lock);
void NEAP_OMP(omp_set_lock)(omp_lock_t *lock);
void NEAP_OMP(omp_unset_lock)(omp_lock_t *lock);
/* 1: the thread has it. */
int NEAP_OMP(omp_test_lock)(omp_lock_t *lock);

void NEAP_OMP(omp_init_nest_lock)(omp_nest_lock_t *lock);
void NEAP_OMP(omp_destroy_nest_lock)(omp_nest_lock_t *lock);
void NEAP_OMP(omp_set_nest_lock)(omp_nest_lock_t *lock);
void NEAP_OMP(omp_unset_nest_lock)(omp_nest_lock_t *lock);
/* How often the thread holds it now; 0: another one does. */
int NEAP_OMP(omp_test_nest_lock)(omp_nest_lock_t *lock);

#undef NEAP_OMP

#ifdef __cplusplus
}
#endif

#endif
