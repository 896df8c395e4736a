/** Where a text is in an object. The search runs where the object is, and only what it found comes back. */
#include <stdio.h>

#include "neap.h"

enum { SLICE_BYTES = 256 * 1024 };

// Globals are how a part gets its input and leaves its result.
static char *key;
static char *pattern;
static size_t pattern_size;
static int64_t *positions;
static size_t position_count;
static char slice[SLICE_BYTES];

static void *grown(void *bytes, size_t size) {
  void *larger = realloc(bytes, size);
  if (larger == NULL) neap_fail("the function's memory is full");
  return larger;
}

static void add_position(int64_t position) {
  // Twice the room whenever the count is a power of two.
  if ((position_count & (position_count - 1)) == 0) {
    positions = grown(positions, (position_count == 0 ? 1 : 2 * position_count) * sizeof *positions);
  }
  positions[position_count++] = position;
}

/** For each beginning of the pattern: length of its longest proper beginning that is also its end. */
static size_t *fallbacks(void) {
  size_t *lengths = grown(NULL, pattern_size * sizeof *lengths);
  size_t length = 0;
  lengths[0] = 0;
  for (size_t i = 1; i < pattern_size; i++) {
    while (length > 0 && pattern[i] != pattern[length]) length = lengths[length - 1];
    if (pattern[i] == pattern[length]) length += 1;
    lengths[i] = length;
  }
  return lengths;
}

/** The part (Knuth, Morris, Pratt): one look at each byte, and matches across slices need no care. */
static int find_pattern(void) {
  size_t *fallback = fallbacks();
  size_t matched = 0;
  int64_t offset = 0, size;
  while ((size = neap_read(key, offset, slice, SLICE_BYTES)) > 0) {
    for (int64_t i = 0; i < size; i++) {
      while (matched > 0 && pattern[matched] != slice[i]) matched = fallback[matched - 1];
      if (pattern[matched] == slice[i]) matched += 1;
      if (matched == pattern_size) {
        add_position(offset + i + 1 - (int64_t)matched);
        matched = 0;  // matches do not overlap
      }
    }
    offset += size;
  }
  memset(slice, 0, SLICE_BYTES);  // unchanged memory does not travel
  return size < 0 ? 1 : 0;
}

int main(void) {
  neap_bytes input = neap_input();
  key = input.data;
  char *space = memchr(input.data, ' ', input.size);
  if (space == NULL || space + 1 == input.data + input.size) {
    neap_print("usage: <key> <text to find>");
    return 2;
  }
  *space = 0;
  pattern = space + 1;
  pattern_size = (size_t)(input.data + input.size - pattern);
  if (neap_run_at(key, find_pattern) != 0) {
    printf("there is no object '%s'", key);
    return 1;
  }
  for (size_t i = 0; i < position_count; i++) printf(i == 0 ? "%lld" : " %lld", (long long)positions[i]);
  return 0;
}
