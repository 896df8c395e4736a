/* A filter: letters become capitals. */
#include <ctype.h>
#include <string.h>

void note(const char *what);

char *filter(const char *text) {
  note("upper");
  char *result = strdup(text);
  for (char *at = result; at != NULL && *at != 0; at++) {
    *at = (char)toupper((unsigned char)*at);
  }
  return result;
}
