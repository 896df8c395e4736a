/** Imports: communicators, and grids of ranks. */
import { COMM_NULL, COMMUNICATORS_MAX, type Communicator, type Grid } from "./communicators.ts";
import { filledDims, placeOf, rankAt } from "./grids.ts";
import { PROC_NULL, type Rank, type Ranks, SUCCESS, UNDEFINED } from "./rank.ts";

const DIMENSIONS_MAX = 16;
const NO_COLOR = -1;

/** @throws GuestFault  too many */
async function split(
  rank: Rank,
  parent: Communicator,
  [color, key]: readonly [number, number],
  resultPointer: number,
  grid: Grid | null = null,
): Promise<number> {
  const store = rank.room("the new communicator", resultPointer);
  if (rank.communicators.isFull) {
    throw rank.fault(`there are ${COMMUNICATORS_MAX} communicators, more there may not be`);
  }
  store(await rank.communicators.split(parent, color, key, grid));
  return SUCCESS;
}

/** @throws GuestFault  the communicator has none */
function gridOf(rank: Rank, comm: number): { readonly grid: Grid; readonly own: number } {
  const { grid, rank: own } = rank.communicator(comm);
  if (grid === null) {
    throw rank.fault(`communicator ${comm} is no grid`);
  }
  return { grid, own };
}

function dimensions(rank: Rank, count: number): number {
  if (count < 1 || count > DIMENSIONS_MAX) {
    throw rank.fault(`the number of dimensions is ${count}, must be 1 to ${DIMENSIONS_MAX}`);
  }
  return count;
}

export const groups = (ranks: Ranks) => ({
  "env.MPI_Comm_rank": (comm: number, pointer: number): number => {
    const rank = ranks.at("MPI_Comm_rank");
    rank.room("the rank", pointer)(rank.communicator(comm).rank);
    return SUCCESS;
  },

  "env.MPI_Comm_size": (comm: number, pointer: number): number => {
    const rank = ranks.at("MPI_Comm_size");
    rank.room("the size", pointer)(rank.communicator(comm).group.length);
    return SUCCESS;
  },

  "env.MPI_Comm_dup": async (comm: number, pointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Comm_dup");
    const communicator = rank.communicator(comm);
    return split(rank, communicator, [0, communicator.rank], pointer, communicator.grid);
  },

  "env.MPI_Comm_split": async (comm: number, color: number, key: number, pointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Comm_split");
    if (color < 0 && color !== UNDEFINED) {
      throw rank.fault(`the color is ${color}, must be 0 or more, or MPI_UNDEFINED`);
    }
    return split(rank, rank.communicator(comm), [color < 0 ? NO_COLOR : color, key], pointer);
  },

  "env.MPI_Comm_free": (pointer: number): number => {
    const rank = ranks.at("MPI_Comm_free");
    const [comm = COMM_NULL] = rank.ints("the communicator", pointer, 1);
    if (!rank.communicators.free(comm)) {
      throw rank.fault(`communicator ${comm} is none that was made`);
    }
    rank.room("the communicator", pointer)(COMM_NULL);
    return SUCCESS;
  },

  "env.MPI_Cart_create": async (
    comm: number,
    count: number,
    dimsPointer: number,
    periodsPointer: number,
    _reorder: number,
    pointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Cart_create");
    const communicator = rank.communicator(comm);
    const dims = rank.ints("the dimensions", dimsPointer, dimensions(rank, count));
    const periods = rank.ints("the periods", periodsPointer, count).map((period) => period !== 0);
    const places = dims.reduce((product, dim) => product * dim, 1);
    if (dims.some((dim) => dim < 1) || places > communicator.group.length) {
      throw rank.fault(`a grid of ${dims.join(" × ")} has no place for ${communicator.group.length} ranks`);
    }
    const { rank: own } = communicator;
    return split(rank, communicator, [own < places ? 0 : NO_COLOR, own], pointer, { dims, periods });
  },

  "env.MPI_Cart_get": (
    comm: number,
    maxCount: number,
    dimsPointer: number,
    periodsPointer: number,
    placePointer: number,
  ): number => {
    const rank = ranks.at("MPI_Cart_get");
    const { grid, own } = gridOf(rank, comm);
    const count = Math.min(dimensions(rank, maxCount), grid.dims.length);
    const periods = rank.room("the periods", periodsPointer, count);
    const place = rank.room("the coordinates", placePointer, count);
    rank.room("the dimensions", dimsPointer, count)(...grid.dims);
    periods(...grid.periods.map((period) => (period ? 1 : 0)));
    place(...placeOf(grid, own));
    return SUCCESS;
  },

  "env.MPI_Cart_rank": (comm: number, placePointer: number, pointer: number): number => {
    const rank = ranks.at("MPI_Cart_rank");
    const { grid } = gridOf(rank, comm);
    const place = rank.ints("the coordinates", placePointer, grid.dims.length);
    const found = rankAt(grid, place);
    if (found === null) {
      throw rank.fault(`there is no place ${place.join(", ")} in a grid of ${grid.dims.join(" × ")}`);
    }
    rank.room("the rank", pointer)(found);
    return SUCCESS;
  },

  "env.MPI_Cart_coords": (comm: number, of: number, maxCount: number, pointer: number): number => {
    const rank = ranks.at("MPI_Cart_coords");
    const { grid } = gridOf(rank, comm);
    rank.peer(rank.communicator(comm), "the rank", of);
    const count = Math.min(dimensions(rank, maxCount), grid.dims.length);
    rank.room("the coordinates", pointer, count)(...placeOf(grid, of));
    return SUCCESS;
  },

  "env.MPI_Cart_shift": (
    comm: number,
    direction: number,
    distance: number,
    sourcePointer: number,
    destinationPointer: number,
  ): number => {
    const rank = ranks.at("MPI_Cart_shift");
    const { grid, own } = gridOf(rank, comm);
    if (direction < 0 || direction >= grid.dims.length) {
      throw rank.fault(`the direction is ${direction}, must be 0 to ${grid.dims.length - 1}`);
    }
    const beside = (by: number): number => {
      const place = placeOf(grid, own);
      place[direction] = (place[direction] ?? 0) + by;
      return rankAt(grid, place) ?? PROC_NULL;
    };
    const destination = rank.room("the destination", destinationPointer);
    rank.room("the source", sourcePointer)(beside(-distance));
    destination(beside(distance));
    return SUCCESS;
  },

  "env.MPI_Cartdim_get": (comm: number, pointer: number): number => {
    const rank = ranks.at("MPI_Cartdim_get");
    rank.room("the number of dimensions", pointer)(gridOf(rank, comm).grid.dims.length);
    return SUCCESS;
  },

  "env.MPI_Dims_create": (places: number, count: number, pointer: number): number => {
    const rank = ranks.at("MPI_Dims_create");
    const dims = rank.ints("the dimensions", pointer, dimensions(rank, count));
    const filled = places < 1 || dims.some((dim) => dim < 0) ? null : filledDims(places, dims);
    if (filled === null) {
      throw rank.fault(`${places} ranks cannot be a grid of ${dims.join(" × ")}, where 0 stands for any`);
    }
    rank.room("the dimensions", pointer, count)(...filled);
    return SUCCESS;
  },
});
