// Variables of each thread, in four threads of a region: their sums.
#include <omp.h>
#include <stdio.h>

static _Thread_local int mine = 7;
static _Thread_local long zeros[100];

int main(void) {
  int own = 0;
  long counted = 0;
  mine = 100;
#pragma omp parallel num_threads(4) reduction(+ : own, counted)
  {
    zeros[50] += omp_get_thread_num();
    mine += omp_get_thread_num();
#pragma omp barrier
    own += mine;
    counted += zeros[50];
  }
  printf("%d %ld", own, counted);
  return 0;
}
