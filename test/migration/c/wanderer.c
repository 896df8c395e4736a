// As ../assembly/wanderer.ts, in C: asks the host in nested loops, at the bottom of a recursion, in the comparator of the library's sort, between
// numbers on its stack and on its heap, and while the library holds what it is going to print. Input: a number that it begins with.
#include <stdio.h>

#include "neap.h"

typedef struct node {
  int key;
  char text[48];
  struct node *left, *right;
} node;

static long long counter = 0;
static double mean = 0.5;

static double ask(const char *format, int number) {
  char key[32];
  snprintf(key, sizeof key, format, number);
  counter += 1;
  neap_bytes value = neap_get(key);
  double answer = value.data == NULL ? -1 : strtod(value.data, NULL);
  free(value.data);
  return answer;
}

static node *insert(node *at, int key, int depth) {
  if (at == NULL) {
    node *leaf = calloc(1, sizeof *leaf);
    double weight = ask("leaf/%d", key % 5);
    leaf->key = key;
    snprintf(leaf->text, sizeof leaf->text, "%d@%d:%g", key, depth, weight);
    return leaf;
  }
  if (key < at->key) at->left = insert(at->left, key, depth + 1);
  else at->right = insert(at->right, key, depth + 1);
  return at;
}

static void walk(const node *at) {
  if (at == NULL) return;
  walk(at->left);
  printf("%s;", at->text);
  walk(at->right);
}

static int compare(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b + (int)ask("bias", 0);
}

static double nested(int seed) {
  double cells[4] = {0};
  long long product = 1;
  float small = 0.5f;
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 3; j++) {
      long long wide = ((long long)seed << 33) + i * j;
      cells[i] += ask("cell/%d", i) * ((i * 3 + j) * 1.0625);
      product = (long long)((unsigned long long)product * 6364136223846793005u + (unsigned long long)wide);
      small = small * 1.5f + (float)j;
    }
    char key[16], row[96];
    snprintf(key, sizeof key, "row/%d", i);
    int size = snprintf(row, sizeof row, "%a %lld %a", cells[i], product, small);
    neap_put(key, row, (size_t)size);
    mean = (mean + cells[i]) / 2;
  }
  return cells[0] + cells[1] + cells[2] + cells[3] + (double)(product % 1000) + small;
}

int main(void) {
  int seed = atoi(neap_input().data);
  printf("begin %lld %a\n", (long long)neap_now(), neap_random());
  for (int i = 0; i < 5; i++) {
    char key[16];
    snprintf(key, sizeof key, "word/%d", (seed + i) % 3);
    neap_bytes word = neap_get(key);
    printf("%s-", word.data == NULL ? "none" : word.data);
    neap_sleep(1);
  }
  node *root = NULL;
  for (int i = 0; i < 9; i++) root = insert(root, (seed * 7 + i * 11) % 29, 0);
  walk(root);
  int items[7];
  for (int i = 0; i < 7; i++) items[i] = (seed * 31 + i * 17) % 23;
  qsort(items, 7, sizeof *items, compare);
  for (int i = 0; i < 7; i++) printf(" %d", items[i]);
  printf("\n%a %a", nested(seed), mean);
  int value;
  neap_bytes answer = neap_call("other", "in", 2, &value);
  neap_bytes text = neap_get("long");
  printf(" %zu %zu %lld %a %lld", answer.size, text.size, (long long)neap_now(), neap_random(), counter);
  neap_log("done");
  return (int)(counter % 128);
}
