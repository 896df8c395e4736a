/* Adds up the squares of the numbers below the input, each rank a share of them. */
#include <inttypes.h>
#include <mpi.h>
#include <stdio.h>

#include "neap.h"

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);

  uint64_t count = strtoull(neap_input().data, NULL, 10);
  uint64_t own = 0, sum = 0;
  for (uint64_t number = (uint64_t)rank; number < count; number += (uint64_t)size) own += number * number;
  MPI_Reduce(&own, &sum, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);

  if (rank == 0) printf("%" PRIu64, sum);
  MPI_Finalize();
  return 0;
}
