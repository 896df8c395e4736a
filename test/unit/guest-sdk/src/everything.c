// Uses all of neap.h, one line of output per thing.
#include <stdio.h>

#include "neap.h"

static int64_t found;

static int look(void) {
  found = neap_size("a");
  neap_put("from the part", "x", 1);
  return 5;
}

static void show(const char *key, uint64_t size, void *context) {
  *(int *)context += 1;
  if (*(int *)context <= 2) printf(" %s:%llu", key, (unsigned long long)size);
}

int main(void) {
  neap_bytes input = neap_input();
  if (strcmp(input.data, "child") == 0) {
    for (int i = 0; i < 1000; i++) neap_print("xxxxxxxxxx");
    return 3;
  }
  if (strcmp(input.data, "fail") == 0) neap_fail("größer als 😀");
  printf("input: %s %zu\n", input.data, input.size);
  neap_log("a line");
  printf("absent: %d %lld\n", neap_get("a").data == NULL, (long long)neap_size("a"));
  neap_put("a", "\xc3\xa4 text", 7);
  printf("get: %s %lld\n", neap_get("a").data, (long long)neap_size("a"));
  neap_bytes large = neap_room(3000000);
  memset(large.data, 7, large.size);
  neap_put("large", large.data, large.size);
  neap_bytes again = neap_get("large");
  printf("large: %zu %d\n", again.size, memcmp(again.data, large.data, large.size));
  char piece[10];
  printf("piece: %lld %lld %lld\n", (long long)neap_read("large", 2999995, piece, sizeof piece),
         (long long)neap_read("large", 3000000, piece, sizeof piece), (long long)neap_read("none", 0, piece, sizeof piece));
  neap_remove("large");
  printf("removed: %lld\n", (long long)neap_size("large"));
  for (int i = 0; i < 600; i++) {
    char key[64];
    snprintf(key, sizeof key, "many/%03d/%050d", i, 0);
    neap_put(key, "v", 1);
  }
  int shown = 0;
  printf("list:");
  size_t many = neap_list("many/", show, &shown);
  printf(" %zu %d %zu\n", many, shown, neap_list("none", show, &shown));
  int64_t version, newer;
  neap_bytes old = neap_get_for_update("n", &version);
  bool first = neap_put_if("n", "1", 1, version);
  printf("update: %d %d %d ", old.data == NULL, first, neap_put_if("n", "2", 1, version));
  old = neap_get_version("n", &newer);
  printf("%s %d\n", old.data, newer > version);

  int value = -1;
  neap_bytes called = neap_call("everything", "child", 5, &value);
  printf("call: %d %zu\n", value, called.size);
  int handles[2] = {neap_start_bound("everything", "child", 5), neap_start("everything", "child", 5)};
  int chosen = neap_select(handles, 2);
  printf("select: %d\n", chosen == 0 || chosen == 1);
  called = neap_await(handles[1], &value);
  printf("await: %d %zu\n", value, called.size);
  neap_await(handles[0], &value);
  printf("cancel: %d\n", neap_cancel(handles[0]));
  char id[NEAP_ID_BYTES];
  neap_spawn("everything", "child", 5, 0, id);
  printf("spawn: %d\n", strlen(id) > 5);
  neap_spawn("everything", "child", 5, 5, NULL);
  neap_sleep(1);
  int part = neap_run_at("a", look);
  printf("part: %d %lld %lld\n", part, (long long)found, (long long)neap_size("from the part"));
  int64_t before = neap_now();
  printf("clock: %d\n", neap_now() > before);
  double drawn = neap_random();
  uint8_t bytes[16] = {0}, none[16] = {0};
  neap_random_bytes(bytes, sizeof bytes);
  printf("random: %d %d\n", drawn >= 0 && drawn < 1 && drawn != neap_random(), memcmp(bytes, none, sizeof none) != 0);
  neap_sync();
  neap_fence();
  printf("end\n");
  return 0;
}
