/* The sum of all primes below a number, in so many threads: <number> <threads> */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "neap.h"

enum { LIMIT_MAX = 100000000, GRAIN = 4096 };

static int is_prime(int number) {
  if (number < 4) return number > 1;
  if (number % 2 == 0) return 0;
  for (int divisor = 3; divisor <= number / divisor; divisor += 2) {
    if (number % divisor == 0) return 0;
  }
  return 1;
}

int main(void) {
  int limit = 0, threads = 0;
  if (sscanf(neap_input().data, "%d %d", &limit, &threads) != 2 || limit < 1 || limit > LIMIT_MAX || threads < 1) {
    printf("usage: <number, 1 to %d> <threads>", LIMIT_MAX);
    return 2;
  }
  long long sum = 0;
#pragma omp parallel for schedule(dynamic, GRAIN) reduction(+ : sum) num_threads(threads)
  for (int number = 0; number < limit; number++) {
    if (is_prime(number)) sum += number;
  }
  printf("%lld", sum);
  return 0;
}
