#include <stdio.h>

#include "neap.h"

enum { DIGITS_MAX = 24 };

static bool is_whole(const char *text, long long *number) {
  char shown[DIGITS_MAX];
  *number = strtoll(text, NULL, 10);
  snprintf(shown, sizeof shown, "%lld", *number);
  return strcmp(shown, text) == 0;
}

int main(void) {
  char *key = neap_input().data;
  long long amount = 1;
  char *space = strchr(key, ' ');
  if (space != NULL) *space = 0;
  if (*key == 0 || (space != NULL && !is_whole(space + 1, &amount))) {
    neap_print("usage: <key> [<whole number>]");
    return 2;
  }
  for (;;) {
    int64_t version;
    neap_bytes old = neap_get_for_update(key, &version);
    long long count = 0;
    if (old.data != NULL && !is_whole(old.data, &count)) neap_fail("the object is not a counter");
    char text[DIGITS_MAX];
    int size = snprintf(text, sizeof text, "%lld", (long long)((unsigned long long)count + (unsigned long long)amount));
    // When two calls come at once, one of them computes again: no increment is lost.
    if (neap_put_if(key, text, (size_t)size, version)) {
      neap_print(text);
      return 0;
    }
    free(old.data);
  }
}
