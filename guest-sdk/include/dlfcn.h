/* Side modules: docs/guides/faasm.md#side-modules. */
#ifndef NEAP_DLFCN_H
#define NEAP_DLFCN_H

#include "neap/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All flags are one to this host: everything is bound at once, and side modules that are opened later find its names. */
#define RTLD_LOCAL 0
#define RTLD_LAZY 1
#define RTLD_NOW 2
#define RTLD_GLOBAL 256

/* For dlsym: the main module, then side modules in the order in which they were opened. */
#define RTLD_DEFAULT ((void *)0)

/* The side module in a shared file, "faasm://lib/side.wasm" or "/lib/side.wasm"; the main module for NULL. NULL when it is refused. */
__attribute__((import_module("env"), import_name("dlopen")))
void *dlopen(const char *path, int flags);

/* A pointer to its function or variable; NULL when there is none. */
__attribute__((import_module("env"), import_name("dlsym")))
void *dlsym(void *handle, const char *name);

/* 0; what it has stays where it is until the call ends. -1 when the handle is none. */
__attribute__((import_module("env"), import_name("dlclose")))
int dlclose(void *handle);

/* Why the last of these has failed; NULL when none has since dlerror was called last. */
__attribute__((import_module("env"), import_name("dlerror")))
char *dlerror(void);

#ifdef __cplusplus
}
#endif

#endif
