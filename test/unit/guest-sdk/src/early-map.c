/* Maps an object before anything is allocated, and then allocates as much as there was memory before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faasm.h"

static char object[4 << 20];

int main(void) {
  memset(object, 'o', sizeof(object));
  __faasmndp_put("large", 5, object, sizeof(object));
  const size_t before = __builtin_wasm_memory_size(0) << 16;
  uint32_t size = 0;
  char *mapped = (char *)__faasmndp_getMmap("large", 5, 0, INT32_MAX, &size);
  char *own = malloc(before);
  printf("%u bytes are mapped, %s what is allocated\n", size, own + before <= mapped || mapped + size <= own ? "beside" : "inside");
  return 0;
}
