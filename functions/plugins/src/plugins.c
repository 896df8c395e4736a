/* Runs the text behind the first space of its input through the filter that is named before it: a side module of the tenant's. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a filter is: it returns a text that the caller frees, or NULL. */
typedef char *(*filter_function)(const char *text);

/* Filters may call it. */
void note(const char *what) { fprintf(stderr, "filter: %s\n", what); }

static char *whole_input(void) {
  size_t size = 0;
  char *text = malloc(1);
  for (size_t room = 0;; ) {
    if (size + 4096 > room) {
      room = 2 * (size + 4096);
      text = realloc(text, room);
    }
    size_t read = text == NULL ? 0 : fread(text + size, 1, 4095, stdin);
    if (read == 0) {
      break;
    }
    size += read;
  }
  if (text != NULL) {
    text[size] = 0;
  }
  return text;
}

int main(void) {
  char *name = whole_input();
  char *text = name == NULL ? NULL : strchr(name, ' ');
  if (text == NULL) {
    puts("usage: <filter> <text>");
    return 2;
  }
  *text++ = 0;

  char path[256];
  snprintf(path, sizeof path, "faasm://filters/%s.wasm", name);
  void *library = dlopen(path, RTLD_NOW);
  filter_function filter = library == NULL ? NULL : (filter_function)dlsym(library, "filter");
  if (filter == NULL) {
    puts(dlerror());
    return 0;
  }
  char *result = filter(text);
  if (result == NULL) {
    puts("the filter has failed");
    return 1;
  }
  fputs(result, stdout);
  free(result);
  dlclose(library);
  /* Nobody else does: what runs at the end of a program is left out with the constructors, which the host calls. */
  return fflush(stdout);
}
