/* How often each letter occurs in an object, which the main thread reads: <key> <threads> */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neap.h"

enum { LETTERS = 26, SLICE = 1 << 16, CHUNK = 1024 };

int main(void) {
  char key[256];
  int threads = 0;
  if (sscanf(neap_input().data, "%255s %d", key, &threads) != 2 || threads < 1) {
    printf("usage: <key> <threads>");
    return 2;
  }
  static char slice[SLICE];
  long total[LETTERS] = {0};
  int64_t size = 0, offset = 0;
#pragma omp parallel num_threads(threads)
  {
    long own[LETTERS] = {0};
    int64_t here;
    do {
      /* What a call does to the world its main thread does. */
#pragma omp master
      {
        size = neap_read(key, offset, slice, sizeof slice);
        offset += size;
      }
#pragma omp barrier
      here = size;
#pragma omp for schedule(static, CHUNK)
      for (int64_t at = 0; at < here; at++) {
        int letter = (slice[at] | 32) - 'a';
        if (letter >= 0 && letter < LETTERS) own[letter]++;
      }
    } while (here > 0);
#pragma omp critical
    for (int letter = 0; letter < LETTERS; letter++) total[letter] += own[letter];
  }
  if (size < 0) {
    printf("there is no object %s", key);
    return 1;
  }
  for (int letter = 0; letter < LETTERS; letter++) printf("%c %ld\n", 'a' + letter, total[letter]);
  return 0;
}
