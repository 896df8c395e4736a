/*
 * For headers of imports with which the host gives a program more memory: objects and files that it maps, stacks of its threads, data of
 * its side modules.
 *
 * The allocator of wasi-libc, of Debian's at least, takes all memory that there is at its first use for its own. So that comes before
 * anything of the host's is there.
 */
#ifndef NEAP_HEAP_H
#define NEAP_HEAP_H

#include <stdlib.h>

/* Linkers let exports run the constructors again, that with which a thread begins too. */
__attribute__((constructor)) static void neap_begin_heap(void) {
  static char has_begun;
  if (has_begun) return;
  has_begun = 1;
  void *volatile first = malloc(1);
  free(first);
}

#endif
