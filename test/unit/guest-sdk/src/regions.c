// Uses all of neap/region.h, one line of output per thing.
#include <stdio.h>

#include "neap/region.h"

int main(void) {
  if (strcmp(neap_input().data, "outside") == 0) {
    char byte;
    neap_read_region(neap_open_region("small", 8, 0), 8, &byte, 1);
  }
  if (strcmp(neap_input().data, "unlock") == 0) neap_unlock_region(neap_open_region("small", 8, 0));
  printf("none: %d\n", neap_find_region("r"));
  int32_t region = neap_open_region("r", 64, 200000);
  printf("open: %d %zu\n", neap_find_region("r") == region && region > 0, neap_size_of_region(region));
  neap_grow_region(region, 100000);
  neap_write_region(region, 99990, "0123456789", 10);
  char text[11] = {0};
  neap_read_region(region, 99990, text, 10);
  printf("copy: %zu %s\n", neap_size_of_region(region), text);
  neap_region_f64_store(region, 8, 2.5);
  printf("access: %g %d %d\n", neap_region_f64_load(region, 8), neap_region_i32_atomic_add(region, 0, 7), neap_region_i32_load(region, 0));
  bool half_done = neap_lock_region_to_write(region);
  neap_unlock_region(region);
  printf("lock: %d %d\n", half_done, neap_lock_region_to_read(region));
  neap_unlock_region(region);
  printf("wait: %d %d %d\n", neap_wait_in_region(region, 0, 8, -1) == NEAP_NOT_EQUAL,
         neap_wait_in_region(region, 0, 7, 1) == NEAP_TIMED_OUT, neap_notify_in_region(region, 0, 5));
  neap_push_region(region, 99990, 10, "k");
  neap_push_part_of_region(region, 99990, 3, "k", 5);
  neap_append_region(region, 99999, 1, "k");
  printf("push: %s\n", neap_get("k").data);
  printf("pull: %lld %lld\n", (long long)neap_pull_region(region, 32, 4, "k", 2), (long long)neap_pull_region(region, 0, 4, "none", 0));
  neap_snapshot_region(region, 32, text, 4);
  text[4] = 0;
  printf("snapshot: %s\n", text);
  printf("end\n");
  return 0;
}
