/* A product of two matrices and the mean of its numbers, in so many threads: <rows> <threads> */
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neap.h"

enum { ROWS_MAX = 1024 };

static double *random_matrix(int rows, uint32_t seed) {
  double *matrix = malloc(sizeof(double) * rows * rows);
  for (int at = 0; at < rows * rows; at++) {
    seed = seed * 1664525 + 1013904223;
    matrix[at] = seed / 4294967296.0 - 0.5;
  }
  return matrix;
}

int main(void) {
  int rows = 0, threads = 0;
  if (sscanf(neap_input().data, "%d %d", &rows, &threads) != 2 || rows < 1 || rows > ROWS_MAX || threads < 1) {
    printf("usage: <rows, 1 to %d> <threads>", ROWS_MAX);
    return 2;
  }
  const double *left = random_matrix(rows, 1), *right = random_matrix(rows, 2);
  double *product = calloc((size_t)rows * rows, sizeof(double));
  double sum = 0;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int row = 0; row < rows; row++) {
      for (int inner = 0; inner < rows; inner++) {
        for (int column = 0; column < rows; column++) {
          product[row * rows + column] += left[row * rows + inner] * right[inner * rows + column];
        }
      }
    }
    /* One number for each thread, put together in the order of the threads: the same in each run. */
#pragma omp for schedule(static) reduction(+ : sum)
    for (int at = 0; at < rows * rows; at++) {
      sum += product[at];
    }
  }
  uint64_t hash = 14695981039346656037u;
  for (int at = 0; at < rows * rows; at++) {
    uint64_t bits;
    memcpy(&bits, &product[at], sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  printf("%016" PRIx64 " mean %.9f", hash, sum / ((double)rows * rows));
  return 0;
}
