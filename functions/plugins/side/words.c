/* A filter: the words in order, each once, with how often it is there. It keeps the object `words/last` up to date. */
#include <faasm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void note(const char *what);

enum { WORDS_MAX = 1000 };
static const char *words[WORDS_MAX];
/* Variables that hold addresses are made right when the side module is loaded. */
static const char *const FORMATS[] = {"%s\n", "%s %d\n"};
static const char KEY[] = "words/last";
static int opened = 0;

/* Runs when the side module is loaded. */
__attribute__((constructor)) static void begin(void) { opened += 1; }

static int by_text(const void *left, const void *right) { return strcmp(*(const char *const *)left, *(const char *const *)right); }

char *filter(const char *text) {
  note("words");
  char *copy = strdup(text);
  size_t room = 16 * strlen(text) + 1;
  char *result = malloc(room);
  if (copy == NULL || result == NULL || opened != 1) {
    return NULL;
  }
  int count = 0;
  for (char *at = copy; *at != 0 && count < WORDS_MAX; ) {
    char *end = at;
    while (*end != 0 && *end != ' ') {
      end++;
    }
    char *next = *end == 0 ? end : end + 1;
    *end = 0;
    if (end > at) {
      words[count++] = at;
    }
    at = next;
  }
  qsort(words, (size_t)count, sizeof *words, by_text);
  char *out = result;
  *out = 0;
  for (int first = 0; first < count; ) {
    int next = first;
    while (next < count && strcmp(words[next], words[first]) == 0) {
      next++;
    }
    out += snprintf(out, room - (size_t)(out - result), FORMATS[next - first > 1], words[first], next - first);
    first = next;
  }
  /* A host call that the main module does not have: the call waits in it. */
  __faasmndp_put(KEY, sizeof KEY - 1, result, (int32_t)(out - result));
  free(copy);
  return result;
}
