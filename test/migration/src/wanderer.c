// Asks the host in every place where a call can be stopped: in nested loops, at the bottom of a recursion, in the comparator of a sort,
// between values that live in locals, on the stack in memory, in a buffer of stdio. Input: a number that it begins with.
#include <stdio.h>

#include "neap.h"

static long long counter;

typedef struct node {
  struct node *left, *right;
  int key;
  char text[64];
} node;

static double ask(const char *form, int number) {
  char key[32];
  snprintf(key, sizeof key, form, number);
  counter += 1;
  neap_bytes value = neap_get(key);
  double found = value.data == NULL ? -1 : strtod(value.data, NULL);
  free(value.data);
  return found;
}

static node *insert(node *at, int key, int depth) {
  if (at == NULL) {
    node *leaf = calloc(1, sizeof *leaf);
    leaf->key = key;
    snprintf(leaf->text, sizeof leaf->text, "%d@%d:%.3f", key, depth, ask("leaf/%d", key % 5));
    return leaf;
  }
  node **side = key < at->key ? &at->left : &at->right;
  *side = insert(*side, key, depth + 1);
  return at;
}

static void walk(const node *at) {
  if (at == NULL) return;
  walk(at->left);
  printf("%s;", at->text);
  walk(at->right);
}

static int by_bias(const void *left, const void *right) {
  return *(const int *)left - *(const int *)right + (int)(ask("bias", 0) / 16);
}

static double nested(int seed) {
  double sum = 0, row[4] = {0};
  unsigned long long product = 1;
  float small = 0.5f;
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 3; j++) {
      double factor = (i * 3 + j) * 1.0625;
      unsigned long long wide = ((unsigned long long)seed << 33) + (unsigned)(i * j);
      row[i] += ask("cell/%d", i) * factor;
      product = product * 6364136223846793005u + wide;
      small = small * 1.5f + (float)j;
    }
    char key[32], text[96];
    snprintf(key, sizeof key, "row/%d", i);
    int size = snprintf(text, sizeof text, "%.6f %llu %.6f", row[i], product, (double)small);
    neap_put(key, text, (size_t)size);
    sum += row[i];
  }
  return sum + (double)(product % 1000) + (double)small;
}

int main(void) {
  int seed = atoi(neap_input().data);
  printf("begin %lld %.17g\n", (long long)neap_now(), neap_random());
  for (int i = 0; i < 5; i++) {
    printf("%.6f-", ask("word/%d", (seed + i) % 3));
    neap_sleep(1);
  }
  node *root = NULL;
  for (int i = 0; i < 9; i++) root = insert(root, (seed * 7 + i * 11) % 29, 0);
  walk(root);
  int items[7];
  for (int i = 0; i < 7; i++) items[i] = (seed * 31 + i * 17) % 23;
  printf("\n%.6f ", nested(seed));
  qsort(items, 7, sizeof *items, by_bias);
  for (int i = 0; i < 7; i++) printf("%d,", items[i]);
  int value = -1;
  neap_bytes answer = neap_call("other", "text", 4, &value);
  neap_bytes value_of_slices = neap_get("long");
  printf("\n%zu %zu %d %lld %.17g %lld", answer.size, value_of_slices.size, value, (long long)neap_now(), neap_random(), counter);
  neap_log("done");
  return (int)(counter % 100);
}
