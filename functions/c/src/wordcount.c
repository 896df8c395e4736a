/** How often each word is in an object. Counting runs where the object is, and only the words come back. */
#include <stdio.h>

#include "neap.h"

enum { SLICE_BYTES = 256 * 1024, FIRST_SLOTS = 2048 };

typedef struct word {
  uint64_t count;
  uint32_t hash;
  size_t size;
  unsigned char text[];
} word;

// Globals are how a part gets its input and leaves its result.
static char *key;
/** Open addressing; a power of two, at most half full. */
static word **slots;
static size_t slot_count;
static size_t word_count;
static char *slice;
static size_t slice_size = SLICE_BYTES;

static void *allocated(size_t size) {
  void *bytes = calloc(1, size);
  if (bytes == NULL) neap_fail("the function's memory is full");
  return bytes;
}

/** Where a word is, or would be. */
static word **find(const char *text, size_t size, uint32_t hash) {
  size_t at = (hash ^ (hash >> 15)) & (slot_count - 1);
  while (slots[at] != NULL && (slots[at]->hash != hash || slots[at]->size != size || memcmp(slots[at]->text, text, size) != 0)) {
    at = (at + 1) & (slot_count - 1);
  }
  return &slots[at];
}

static void double_slots(void) {
  word **old = slots;
  size_t old_count = slot_count;
  slot_count *= 2;
  slots = allocated(slot_count * sizeof *slots);
  for (size_t i = 0; i < old_count; i++) {
    if (old[i] != NULL) *find((const char *)old[i]->text, old[i]->size, old[i]->hash) = old[i];
  }
  free(old);
}

static void add(const char *text, size_t size) {
  if (size == 0) return;
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  word **slot = find(text, size, hash);
  if (*slot != NULL) {
    (*slot)->count += 1;
    return;
  }
  *slot = allocated(sizeof(word) + size);
  (*slot)->count = 1;
  (*slot)->hash = hash;
  (*slot)->size = size;
  memcpy((*slot)->text, text, size);
  word_count += 1;
  if (2 * word_count > slot_count) double_slots();
}

/** Counts the whole words of a text. @returns where an unfinished last one begins */
static size_t add_words(const char *text, size_t size) {
  size_t start = 0;
  for (size_t at = 0; at < size; at++) {
    if ((unsigned char)text[at] > ' ') continue;
    add(text + start, at - start);
    start = at + 1;
  }
  return start;
}

/** The part. */
static int count_words(void) {
  slice = allocated(slice_size);
  slot_count = FIRST_SLOTS;
  slots = allocated(slot_count * sizeof *slots);
  size_t kept = 0;
  int64_t offset = 0, size;
  while ((size = neap_read(key, offset, slice + kept, slice_size - kept)) > 0) {
    offset += size;
    size_t end = kept + (size_t)size;
    size_t start = add_words(slice, end);
    kept = end - start;
    memmove(slice, slice + start, kept);
    if (kept == slice_size) {
      char *larger = allocated(2 * slice_size);
      memcpy(larger, slice, kept);
      free(slice);
      slice = larger;
      slice_size *= 2;
    }
  }
  add(slice, kept);
  memset(slice, 0, slice_size);  // unchanged memory does not travel
  return size < 0 ? 1 : 0;
}

static int by_bytes(const void *left, const void *right) {
  const word *a = *(word *const *)left, *b = *(word *const *)right;
  int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

int main(void) {
  key = neap_input().data;
  char *space = strchr(key, ' ');
  if (space != NULL) *space = 0;
  if (neap_run_at(key, count_words) != 0) {
    printf("there is no object '%s'", key);
    return 1;
  }
  word **words = allocated(word_count * sizeof *words + 1);
  size_t found = 0;
  for (size_t i = 0; i < slot_count; i++) {
    if (slots[i] != NULL) words[found++] = slots[i];
  }
  qsort(words, found, sizeof *words, by_bytes);
  for (size_t i = 0; i < found; i++) {
    fwrite(words[i]->text, 1, words[i]->size, stdout);
    printf("\t%llu\n", (unsigned long long)words[i]->count);
  }
  return 0;
}
