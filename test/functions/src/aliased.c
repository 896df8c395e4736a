// State values by pointers that calls share: what the first word of the input says.
#include <stdio.h>

#include "faasm.h"
#include "neap.h"

static volatile int32_t *numbers(const char *key, int size) { return (volatile int32_t *)__faasm_read_state_ptr(key, size); }

/* Each waits for the number that the other one has written. */
static void play(int rounds, int first) {
  volatile int32_t *turn = numbers("turn", 8);
  for (int round = 0; round < rounds; round++) {
    while (turn[0] != 2 * round + first) neap_sleep(1);
    turn[0]++;
  }
  printf("%d rounds", rounds);
}

/* Not atomic: only the lock makes the sum right. */
static void count(int times) {
  volatile int32_t *sum = numbers("sum", 4);
  for (int done = 0; done < times; done++) {
    __faasm_lock_state_write("sum");
    int before = *sum;
    neap_sleep(0);
    *sum = before + 1;
    __faasm_unlock_state_write("sum");
  }
}

static void all(void) {
  char *text = (char *)(intptr_t)__faasm_read_state_ptr("text", 16);
  neap_put("state/fresh", "stored", 7);
  printf("filled: %s %s\n", text, (char *)(intptr_t)__faasm_read_state_ptr("fresh", 16));
  memcpy(text, "shared bytes", 13);
  char *again = (char *)(intptr_t)__faasm_read_state_offset_ptr("text", 16, 7, 5);
  printf("chunk: %s %d\n", again, (int)(again - text));
  char copy[17] = {0};
  printf("read: %d", __faasm_read_state("text", copy, 16));
  printf(" %s %d", copy, __faasm_read_state("text", NULL, 0));
  __faasm_read_state_offset("text", 16, 7, copy, 4);
  printf(" %s\n", copy);
  __faasm_write_state_offset("text", 16, 0, "SHARED", 6);
  __faasm_flag_state_dirty("text", 16);
  __faasm_flag_state_offset_dirty("text", 16, 0, 6);
  printf("written: %s\n", text);
  memmove(text + 1, text, 6);
  memset(text + 10, '!', 2);
  fwrite(text, 1, 12, stdout);
  printf(" %d\n", memcmp(text, "SSHAREDbyt!!", 12));
  char *unseen = neap_get("state/text").data;
  __faasm_push_state("text");
  printf("pushed: %s, before %s\n", neap_get("state/text").data, unseen);
  neap_put("state/text", "pulled", 7);
  __faasm_pull_state("text", 16);
  printf("pulled: %s\n", text);
  __faasm_write_state("whole", "12345", 5);
  __faasm_write_state("mask", "\0\1\1\0\1", 5);
  neap_put("state/whole", "abcde", 5);
  __faasm_push_state_partial_mask("whole", "mask");
  printf("masked: %s", neap_get("state/whole").data);
  __faasm_push_state_partial("whole");
  printf(" %s %d\n", neap_get("state/whole").data, __faasm_read_state("nothing", NULL, 0));
  neap_put("files/numbers", "one two", 7);
  char *filed = (char *)(intptr_t)__faasm_read_state_ptr("filed", 16);
  int size = __faasm_write_state_from_file("filed", "/numbers");
  printf("from a file: %s %d %d\n", filed, size, __faasm_read_state("filed", NULL, 0));
  __faasm_lock_state_read("text");
  __faasm_unlock_state_read("text");
  memset(text, 'x', 16);
}

int main(void) {
  char what[16] = "";
  int number = 0;
  sscanf(neap_input().data, "%15s %d", what, &number);
  if (strcmp(what, "all") == 0) all();
  if (strcmp(what, "ping") == 0) play(number, 0);
  if (strcmp(what, "pong") == 0) play(number, 1);
  if (strcmp(what, "count") == 0) count(number);
  if (strcmp(what, "sum") == 0) printf("%d", *numbers("sum", 4));
  if (strcmp(what, "text") == 0) printf("%.16s", (char *)(intptr_t)__faasm_read_state_ptr("text", 16));
  if (strcmp(what, "table") == 0) *(volatile int32_t *)(intptr_t)(number + (1 << 30)) = 1;
  if (strcmp(what, "larger") == 0) {
    numbers("small", 4);
    numbers("small", 1 << 20);
  }
  if (strcmp(what, "twice") == 0) {
    __faasm_lock_state_write("sum");
    __faasm_lock_state_write("sum");
  }
  if (strcmp(what, "chunk") == 0) __faasm_read_state_offset_ptr("text", 16, 10, 7);
  return 0;
}
