/** Imports: what all ranks of a communicator do together. */
import { evenParts, type Reduction } from "./collective.ts";
import type { Communicator } from "./communicators.ts";
import type { Datatype } from "./datatypes.ts";
import { NO_BYTES, type Span } from "./messages.ts";
import { IN_PLACE, type Rank, type Ranks, SUCCESS } from "./rank.ts";

type Buffer = readonly [pointer: number, count: number, datatype: number];

/** What a call works on; `whose` is how its messages name it. */
function bufferOf(rank: Rank, whose: string, [pointer, count, type]: Buffer): Span {
  return rank.span(`the ${whose} buffer`, pointer, count, rank.datatype(type));
}

/** One block of `count` elements for each rank, one behind the other. */
function evenBlocks(rank: Rank, { group }: Communicator, whose: string, [pointer, count, type]: Buffer): Span[] {
  const datatype = rank.datatype(type);
  rank.count(`the count of the ${whose} buffer`, count);
  return evenParts(rank.span(`the ${whose} buffer`, pointer, count * group.length, datatype), group.length);
}

/** A block for each rank, of as many elements and at such a place as the guest's two lists say. */
function anyBlocks(
  rank: Rank,
  { group }: Communicator,
  whose: string,
  [pointer, countsPointer, placesPointer, type]: readonly [number, number, number, number],
): Span[] {
  const counts = rank.ints(`the counts of the ${whose} buffer`, countsPointer, group.length);
  const places = rank.ints(`the displacements of the ${whose} buffer`, placesPointer, group.length);
  const datatype = rank.datatype(type);
  return counts.map((count, at) => rank.span(`the ${whose} buffer`, pointer, count, datatype, places[at]));
}

function copy(from: Span, to: Span, rank: Rank): void {
  if (from.sizeBytes !== to.sizeBytes) {
    throw rank.fault(`this rank sends itself ${from.sizeBytes} bytes, and wants ${to.sizeBytes}`);
  }
  to.view(0, to.sizeBytes).set(from.view(0, from.sizeBytes));
}

const blockOf = (blocks: readonly Span[], { rank }: Communicator): Span => blocks[rank] ?? NO_BYTES;

async function scatter(
  rank: Rank,
  communicator: Communicator,
  root: number,
  blocks: () => Span[],
  receive: [number, number, number],
) {
  rank.peer(communicator, "the root", root);
  const isRoot = communicator.rank === root;
  const own = isRoot && receive[0] === IN_PLACE ? null : bufferOf(rank, "receive", receive);
  const sent = isRoot ? blocks() : [];
  if (isRoot && own !== null) {
    copy(blockOf(sent, communicator), own, rank);
  }
  await communicator.collective.scatter(sent, own ?? NO_BYTES, root);
  return SUCCESS;
}

async function gather(
  rank: Rank,
  communicator: Communicator,
  root: number,
  send: [number, number, number],
  blocks: () => Span[],
) {
  rank.peer(communicator, "the root", root);
  const isRoot = communicator.rank === root;
  const own = isRoot && send[0] === IN_PLACE ? null : bufferOf(rank, "send", send);
  const received = isRoot ? blocks() : [];
  if (isRoot && own !== null) {
    copy(own, blockOf(received, communicator), rank);
  }
  await communicator.collective.gather(received, own ?? NO_BYTES, root);
  return SUCCESS;
}

async function allgather(rank: Rank, communicator: Communicator, send: [number, number, number], blocks: Span[]) {
  if (send[0] !== IN_PLACE) {
    copy(bufferOf(rank, "send", send), blockOf(blocks, communicator), rank);
  }
  await communicator.collective.allgather(blocks);
  return SUCCESS;
}

async function alltoall(rank: Rank, communicator: Communicator, sent: Span[], received: Span[]) {
  copy(blockOf(sent, communicator), blockOf(received, communicator), rank);
  await communicator.collective.alltoall(sent, received);
  return SUCCESS;
}

interface Reduced {
  readonly values: Span;
  readonly result: Span;
  readonly reduction: Reduction;
}

/** @param getsResult  whether this rank does: else its buffer for it means nothing */
function reduced(
  rank: Rank,
  [sendPointer, receivePointer, count]: readonly [number, number, number],
  [type, operator]: readonly [number, number],
  getsResult: boolean,
): Reduced {
  const datatype: Datatype = rank.datatype(type);
  const reduction = rank.operators.reduction(operator, type, datatype);
  const result = getsResult ? rank.span("the receive buffer", receivePointer, count, datatype) : NO_BYTES;
  const isInPlace = getsResult && sendPointer === IN_PLACE;
  return { values: isInPlace ? result : rank.span("the send buffer", sendPointer, count, datatype), result, reduction };
}

export const collectives = (ranks: Ranks) => ({
  "env.MPI_Barrier": async (comm: number): Promise<number> => {
    await ranks.at("MPI_Barrier").communicator(comm).collective.barrier();
    return SUCCESS;
  },

  "env.MPI_Bcast": async (pointer: number, count: number, type: number, root: number, comm: number): Promise<number> => {
    const rank = ranks.at("MPI_Bcast");
    const communicator = rank.communicator(comm);
    rank.peer(communicator, "the root", root);
    const span = rank.span("the buffer", pointer, count, rank.datatype(type));
    await communicator.collective.broadcast(span, root);
    return SUCCESS;
  },

  "env.MPI_Scatter": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    root: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Scatter");
    const communicator = rank.communicator(comm);
    const blocks = () => evenBlocks(rank, communicator, "send", [sendPointer, sendCount, sendType]);
    return scatter(rank, communicator, root, blocks, [receivePointer, receiveCount, receiveType]);
  },

  "env.MPI_Scatterv": async (
    sendPointer: number,
    counts: number,
    places: number,
    sendType: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    root: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Scatterv");
    const communicator = rank.communicator(comm);
    const blocks = () => anyBlocks(rank, communicator, "send", [sendPointer, counts, places, sendType]);
    return scatter(rank, communicator, root, blocks, [receivePointer, receiveCount, receiveType]);
  },

  "env.MPI_Gather": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    root: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Gather");
    const communicator = rank.communicator(comm);
    const blocks = () => evenBlocks(rank, communicator, "receive", [receivePointer, receiveCount, receiveType]);
    return gather(rank, communicator, root, [sendPointer, sendCount, sendType], blocks);
  },

  "env.MPI_Gatherv": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    counts: number,
    places: number,
    receiveType: number,
    root: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Gatherv");
    const communicator = rank.communicator(comm);
    const blocks = () => anyBlocks(rank, communicator, "receive", [receivePointer, counts, places, receiveType]);
    return gather(rank, communicator, root, [sendPointer, sendCount, sendType], blocks);
  },

  "env.MPI_Allgather": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Allgather");
    const communicator = rank.communicator(comm);
    const blocks = evenBlocks(rank, communicator, "receive", [receivePointer, receiveCount, receiveType]);
    return allgather(rank, communicator, [sendPointer, sendCount, sendType], blocks);
  },

  "env.MPI_Allgatherv": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    counts: number,
    places: number,
    receiveType: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Allgatherv");
    const communicator = rank.communicator(comm);
    const blocks = anyBlocks(rank, communicator, "receive", [receivePointer, counts, places, receiveType]);
    return allgather(rank, communicator, [sendPointer, sendCount, sendType], blocks);
  },

  "env.MPI_Alltoall": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Alltoall");
    const communicator = rank.communicator(comm);
    const sent = evenBlocks(rank, communicator, "send", [sendPointer, sendCount, sendType]);
    const received = evenBlocks(rank, communicator, "receive", [receivePointer, receiveCount, receiveType]);
    return alltoall(rank, communicator, sent, received);
  },

  "env.MPI_Alltoallv": async (
    sendPointer: number,
    sendCounts: number,
    sendPlaces: number,
    sendType: number,
    receivePointer: number,
    receiveCounts: number,
    receivePlaces: number,
    receiveType: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Alltoallv");
    const communicator = rank.communicator(comm);
    const sent = anyBlocks(rank, communicator, "send", [sendPointer, sendCounts, sendPlaces, sendType]);
    const received = anyBlocks(rank, communicator, "receive", [receivePointer, receiveCounts, receivePlaces, receiveType]);
    return alltoall(rank, communicator, sent, received);
  },

  "env.MPI_Reduce": async (
    sendPointer: number,
    receivePointer: number,
    count: number,
    type: number,
    operator: number,
    root: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Reduce");
    const communicator = rank.communicator(comm);
    rank.peer(communicator, "the root", root);
    const isRoot = communicator.rank === root;
    const { values, result, reduction } = reduced(rank, [sendPointer, receivePointer, count], [type, operator], isRoot);
    await communicator.collective.reduce(values, result, reduction, root);
    return SUCCESS;
  },

  "env.MPI_Allreduce": async (
    sendPointer: number,
    receivePointer: number,
    count: number,
    type: number,
    operator: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Allreduce");
    const { collective } = rank.communicator(comm);
    const { values, result, reduction } = reduced(rank, [sendPointer, receivePointer, count], [type, operator], true);
    await collective.reduce(values, result, reduction, 0);
    await collective.broadcast(result, 0);
    return SUCCESS;
  },

  "env.MPI_Scan": async (
    sendPointer: number,
    receivePointer: number,
    count: number,
    type: number,
    operator: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Scan");
    const { collective } = rank.communicator(comm);
    const { values, result, reduction } = reduced(rank, [sendPointer, receivePointer, count], [type, operator], true);
    await collective.scan(values, result, reduction);
    return SUCCESS;
  },

  "env.MPI_Reduce_scatter": async (
    sendPointer: number,
    receivePointer: number,
    countsPointer: number,
    type: number,
    operator: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Reduce_scatter");
    const communicator = rank.communicator(comm);
    const datatype = rank.datatype(type);
    const reduction = rank.operators.reduction(operator, type, datatype);
    const counts = rank.ints("the counts", countsPointer, communicator.group.length);
    const own = rank.span("the receive buffer", receivePointer, counts[communicator.rank] ?? 0, datatype);
    let offset = 0;
    const blocks = counts.map((count) => {
      const block = rank.span("the send buffer", sendPointer, count, datatype, offset);
      offset += count;
      return block;
    });
    for (const [root, values] of blocks.entries()) {
      await communicator.collective.reduce(values, root === communicator.rank ? own : NO_BYTES, reduction, root);
    }
    return SUCCESS;
  },
});
