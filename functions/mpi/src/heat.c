/*
 * How heat spreads on a square plate whose upper edge is kept hot. Input: "<side> <steps>". Each rank has some of the rows, and gets the one
 * above and the one below them from its neighbours before each step.
 */
#include <mpi.h>
#include <stdio.h>

#include "neap.h"

enum { HOT = 100, FROM_ABOVE = 1, FROM_BELOW = 2 };

static int rows_of(int rank, int size, int side) { return side / size + (rank < side % size); }

/* Of the grid's bytes, by FNV-1a: the same grid, the same number. */
static uint64_t hash_of(const unsigned char *bytes, size_t size) {
  uint64_t hash = 14695981039346656037u;
  for (size_t at = 0; at < size; at++) hash = (hash ^ bytes[at]) * 1099511628211u;
  return hash;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int size, rank, above, below, side = 0, steps = 0;
  MPI_Comm line;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Cart_create(MPI_COMM_WORLD, 1, (int[]){size}, (int[]){0}, 0, &line);
  MPI_Comm_rank(line, &rank);
  MPI_Cart_shift(line, 0, 1, &above, &below);
  sscanf(neap_input().data, "%d %d", &side, &steps);
  if (side < size) neap_fail("the plate has fewer rows than there are ranks");

  int rows = rows_of(rank, size, side);
  MPI_Datatype row;
  MPI_Type_contiguous(side, MPI_DOUBLE, &row);
  MPI_Type_commit(&row);
  /* With a row of a neighbour, or of the edge, on both sides. */
  size_t cells = (size_t)(rows + 2) * (size_t)side;
  double *now = calloc(cells, sizeof *now), *next = calloc(cells, sizeof *next);
  if (above == MPI_PROC_NULL) {
    for (int at = 0; at < side; at++) now[at] = next[at] = HOT;
  }

  double change = 0;
  for (int step = 0; step < steps; step++) {
    double *last = now + (size_t)rows * (size_t)side;
    MPI_Sendrecv(now + side, 1, row, above, FROM_BELOW, last + side, 1, row, below, FROM_BELOW, line, MPI_STATUS_IGNORE);
    MPI_Sendrecv(last, 1, row, below, FROM_ABOVE, now, 1, row, above, FROM_ABOVE, line, MPI_STATUS_IGNORE);
    change = 0;
    for (int y = 1; y <= rows; y++) {
      for (int x = 0; x < side; x++) {
        double *cell = now + (size_t)y * (size_t)side + x;
        double left = x > 0 ? cell[-1] : 0, right = x + 1 < side ? cell[1] : 0;
        double value = 0.25 * (cell[-side] + cell[side] + left + right);
        double by = value > *cell ? value - *cell : *cell - value;
        if (by > change) change = by;
        next[(size_t)y * (size_t)side + x] = value;
      }
    }
    double *old = now;
    now = next;
    next = old;
  }

  double greatest = 0;
  MPI_Reduce(&change, &greatest, 1, MPI_DOUBLE, MPI_MAX, 0, line);
  double *plate = rank == 0 ? malloc((size_t)side * (size_t)side * sizeof *plate) : NULL;
  int *counts = malloc((size_t)size * sizeof *counts), *places = malloc((size_t)size * sizeof *places);
  for (int at = 0, place = 0; at < size; place += counts[at++]) {
    counts[at] = rows_of(at, size, side);
    places[at] = place;
  }
  MPI_Gatherv(now + side, rows, row, plate, counts, places, row, 0, line);
  if (rank == 0) {
    size_t middle = (size_t)(side / 2) * (size_t)side + (size_t)(side / 2);
    uint64_t hash = hash_of((const unsigned char *)plate, (size_t)side * (size_t)side * sizeof *plate);
    printf("middle %.12g, last change %.12g, all %016llx", plate[middle], greatest, (unsigned long long)hash);
  }
  MPI_Finalize();
  return 0;
}
