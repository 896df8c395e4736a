/* How long a message takes to another rank and back. Input: "<bytes> <rounds>". Output: microseconds for each round. */
#include <mpi.h>
#include <stdio.h>

#include "neap.h"

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size, bytes = 0, rounds = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (sscanf(neap_input().data, "%d %d", &bytes, &rounds) != 2 || bytes < (int)sizeof(int) || rounds < 1) {
    neap_fail("usage: <bytes, at least 4> <rounds>");
  }
  if (size != 2) neap_fail("there must be 2 ranks");

  int *message = calloc(1, (size_t)bytes);
  MPI_Barrier(MPI_COMM_WORLD);
  double start = MPI_Wtime();
  for (int round = 1; round <= rounds; round++) {
    if (rank == 0) {
      *message = round;
      MPI_Send(message, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
      MPI_Recv(message, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      if (*message != -round) neap_fail("another message came back");
    } else {
      MPI_Recv(message, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      *message = -*message;
      MPI_Send(message, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
  }
  if (rank == 0) printf("%.3f", (MPI_Wtime() - start) / rounds * 1e6);
  MPI_Finalize();
  return 0;
}
