/*
 * Sorts numbers that each rank has made for itself. Input: "<count> <seed>". The ranks agree on where to cut, each sends every other one what
 * belongs there, and sorts what it has got.
 */
#include <mpi.h>
#include <stdio.h>

#include "neap.h"

static uint32_t number_at(uint32_t at, uint32_t seed) {
  uint32_t mixed = (at + seed) * 2654435761u;
  mixed = (mixed ^ (mixed >> 15)) * 2246822519u;
  return mixed ^ (mixed >> 13);
}

static int compared(const void *a, const void *b) {
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  return (one > other) - (one < other);
}

static uint32_t *numbers(int count) { return malloc((size_t)(count > 0 ? count : 1) * sizeof(uint32_t)); }

/* Where each rank's part begins, behind those before it. @returns the end of the last one */
static int places_of(const int *counts, int *places, int size) {
  int place = 0;
  for (int at = 0; at < size; at++) {
    places[at] = place;
    place += counts[at];
  }
  return place;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  unsigned total = 0, seed = 0;
  sscanf(neap_input().data, "%u %u", &total, &seed);

  unsigned from = (unsigned)((uint64_t)total * (unsigned)rank / (unsigned)size);
  unsigned to = (unsigned)((uint64_t)total * ((unsigned)rank + 1) / (unsigned)size);
  int count = (int)(to - from);
  uint32_t *own = numbers(count);
  for (int at = 0; at < count; at++) own[at] = number_at(from + (unsigned)at, seed);
  qsort(own, (size_t)count, sizeof *own, compared);

  /* Of each rank as many samples as there are ranks; every size-th of all is a cut. */
  uint32_t *samples = numbers(size), *all = numbers(size * size);
  for (int at = 0; at < size; at++) samples[at] = count == 0 ? UINT32_MAX : own[(int)((int64_t)count * at / size)];
  MPI_Allgather(samples, size, MPI_UINT32_T, all, size, MPI_UINT32_T, MPI_COMM_WORLD);
  qsort(all, (size_t)(size * size), sizeof *all, compared);

  int *sent = calloc((size_t)size, sizeof *sent), *received = malloc((size_t)size * sizeof *received);
  int *sent_places = malloc((size_t)size * sizeof *sent_places), *received_places = malloc((size_t)size * sizeof *received_places);
  for (int at = 0, rank_of = 0; at < count; at++) {
    while (rank_of + 1 < size && own[at] >= all[(rank_of + 1) * size]) rank_of++;
    sent[rank_of]++;
  }
  MPI_Alltoall(sent, 1, MPI_INT, received, 1, MPI_INT, MPI_COMM_WORLD);
  places_of(sent, sent_places, size);
  int mine = places_of(received, received_places, size);
  uint32_t *sorted = numbers(mine);
  MPI_Alltoallv(own, sent, sent_places, MPI_UINT32_T, sorted, received, received_places, MPI_UINT32_T, MPI_COMM_WORLD);
  qsort(sorted, (size_t)mine, sizeof *sorted, compared);

  int *counts = malloc((size_t)size * sizeof *counts), *places = malloc((size_t)size * sizeof *places);
  MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, MPI_COMM_WORLD);
  uint32_t *result = rank == 0 ? numbers(places_of(counts, places, size)) : NULL;
  MPI_Gatherv(sorted, mine, MPI_UINT32_T, result, counts, places, MPI_UINT32_T, 0, MPI_COMM_WORLD);
  if (rank == 0) neap_output(result, (size_t)total * sizeof *result);
  MPI_Finalize();
  return 0;
}
