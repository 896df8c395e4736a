/** Imports: messages between two ranks, and the requests that begin them. */
import type { Communicator } from "./communicators.ts";
import { ANY, type Receive, type Transfer } from "./messages.ts";
import {
  FROM_NOBODY,
  NO_MESSAGE,
  NULL,
  type Pending,
  PROC_NULL,
  type Rank,
  type Ranks,
  STATUS_BYTES,
  type Status,
  SUCCESS,
  UNDEFINED,
} from "./rank.ts";

const DONE: Transfer = { isDone: true };
const NOBODY: Pending = { transfer: DONE, status: () => FROM_NOBODY };
const NOTHING: Pending = { transfer: DONE, status: () => NO_MESSAGE };

type Buffer = readonly [pointer: number, count: number, datatype: number];
/** Rank of the communicator, tag, communicator. */
type Envelope = readonly [peer: number, tag: number, comm: number];

async function send(
  rank: Rank,
  [pointer, count, type]: Buffer,
  [to, tag, comm]: Envelope,
  isSynchronous = false,
): Promise<Pending> {
  const communicator = rank.communicator(comm);
  const span = rank.span("the buffer", pointer, count, rank.datatype(type));
  rank.tag(tag);
  if (to === PROC_NULL) {
    return NOBODY;
  }
  const peer = rank.peer(communicator, "the destination", to);
  const transfer = await rank.messages.send(span, peer, communicator.context, tag, isSynchronous);
  return { transfer, status: () => NO_MESSAGE };
}

function sourceAndTag(rank: Rank, communicator: Communicator, from: number, tag: number): readonly [source: number, tag: number] {
  return [from === ANY ? ANY : rank.peer(communicator, "the source", from), tag === ANY ? ANY : rank.tag(tag)];
}

async function receive(rank: Rank, [pointer, count, type]: Buffer, [from, tag, comm]: Envelope): Promise<Pending> {
  const communicator = rank.communicator(comm);
  const span = rank.span("the buffer", pointer, count, rank.datatype(type));
  if (from === PROC_NULL) {
    return NOBODY;
  }
  const [source, wanted] = sourceAndTag(rank, communicator, from, tag);
  const transfer = await rank.messages.receive(span, source, communicator.context, wanted);
  return { transfer, status: () => statusOf(communicator, transfer) };
}

function statusOf({ group }: Communicator, { from, messageTag, sizeBytes }: Receive): Status {
  return { source: group.indexOf(from), tag: messageTag, sizeBytes };
}

async function finished(rank: Rank, pending: Pending): Promise<Status> {
  await rank.messages.wait([pending.transfer]);
  return pending.status();
}

export const pointToPoint = (ranks: Ranks) => ({
  "env.MPI_Send": async (
    pointer: number,
    count: number,
    type: number,
    to: number,
    tag: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Send");
    await finished(rank, await send(rank, [pointer, count, type], [to, tag, comm]));
    return SUCCESS;
  },

  "env.MPI_Ssend": async (
    pointer: number,
    count: number,
    type: number,
    to: number,
    tag: number,
    comm: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Ssend");
    await finished(rank, await send(rank, [pointer, count, type], [to, tag, comm], true));
    return SUCCESS;
  },

  "env.MPI_Isend": async (
    pointer: number,
    count: number,
    type: number,
    to: number,
    tag: number,
    comm: number,
    requestPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Isend");
    const store = rank.room("the request", requestPointer);
    store(rank.begun(await send(rank, [pointer, count, type], [to, tag, comm])));
    return SUCCESS;
  },

  "env.MPI_Recv": async (
    pointer: number,
    count: number,
    type: number,
    from: number,
    tag: number,
    comm: number,
    statusPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Recv");
    const tell = rank.statusRoom(statusPointer);
    tell(await finished(rank, await receive(rank, [pointer, count, type], [from, tag, comm])));
    return SUCCESS;
  },

  "env.MPI_Irecv": async (
    pointer: number,
    count: number,
    type: number,
    from: number,
    tag: number,
    comm: number,
    requestPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Irecv");
    const store = rank.room("the request", requestPointer);
    store(rank.begun(await receive(rank, [pointer, count, type], [from, tag, comm])));
    return SUCCESS;
  },

  "env.MPI_Sendrecv": async (
    sendPointer: number,
    sendCount: number,
    sendType: number,
    to: number,
    sendTag: number,
    receivePointer: number,
    receiveCount: number,
    receiveType: number,
    from: number,
    receiveTag: number,
    comm: number,
    statusPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Sendrecv");
    const tell = rank.statusRoom(statusPointer);
    const received = await receive(rank, [receivePointer, receiveCount, receiveType], [from, receiveTag, comm]);
    const sent = await send(rank, [sendPointer, sendCount, sendType], [to, sendTag, comm]);
    await rank.messages.wait([sent.transfer, received.transfer]);
    tell(received.status());
    return SUCCESS;
  },

  "env.MPI_Wait": async (requestPointer: number, statusPointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Wait");
    const tell = rank.statusRoom(statusPointer);
    await waitAll(rank, requestPointer, 1, (_at, status) => tell(status));
    return SUCCESS;
  },

  "env.MPI_Waitall": async (count: number, requestsPointer: number, statusesPointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Waitall");
    rank.requestCount(count);
    if (statusesPointer !== NULL) {
      rank.room("the statuses", statusesPointer, 4 * count);
    }
    await waitAll(rank, requestsPointer, count, (at, status) => {
      if (statusesPointer !== NULL) {
        rank.statusRoom(statusesPointer + STATUS_BYTES * at)(status);
      }
    });
    return SUCCESS;
  },

  "env.MPI_Waitany": async (
    count: number,
    requestsPointer: number,
    indexPointer: number,
    statusPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Waitany");
    rank.requestCount(count);
    const numbers = rank.ints("the requests", requestsPointer, count);
    const index = rank.room("the index", indexPointer);
    const tell = rank.statusRoom(statusPointer);
    const all = numbers.map((number) => rank.request(number));
    if (all.every((one) => one === null)) {
      index(UNDEFINED);
      tell(NO_MESSAGE);
      return SUCCESS;
    }
    let at = -1;
    while (at < 0) {
      at = all.findIndex((one) => one?.transfer.isDone === true);
      if (at < 0) {
        await rank.messages.progress(true);
      }
    }
    rank.ended(numbers[at] ?? NULL);
    rank.room("the requests", requestsPointer + 4 * at)(NULL);
    index(at);
    tell(all[at]?.status() ?? NO_MESSAGE);
    return SUCCESS;
  },

  "env.MPI_Test": async (requestPointer: number, flagPointer: number, statusPointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Test");
    const [number = NULL] = rank.ints("the request", requestPointer, 1);
    const flag = rank.room("the flag", flagPointer);
    const tell = rank.statusRoom(statusPointer);
    const pending = rank.request(number) ?? NOTHING;
    if (!pending.transfer.isDone) {
      await rank.messages.progress(false);
    }
    const { isDone } = pending.transfer;
    flag(isDone ? 1 : 0);
    if (isDone) {
      rank.ended(number);
      rank.room("the request", requestPointer)(NULL);
      tell(pending.status());
    }
    return SUCCESS;
  },

  "env.MPI_Request_free": async (requestPointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Request_free");
    const [number = NULL] = rank.ints("the request", requestPointer, 1);
    if (rank.request(number) === null) {
      throw rank.fault("the request is MPI_REQUEST_NULL");
    }
    rank.ended(number);
    rank.room("the request", requestPointer)(NULL);
    return SUCCESS;
  },

  "env.MPI_Probe": async (from: number, tag: number, comm: number, statusPointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Probe");
    const tell = rank.statusRoom(statusPointer);
    let status = probed(rank, from, tag, comm);
    while (status === null) {
      await rank.messages.progress(true);
      status = probed(rank, from, tag, comm);
    }
    tell(status);
    return SUCCESS;
  },

  "env.MPI_Iprobe": async (
    from: number,
    tag: number,
    comm: number,
    flagPointer: number,
    statusPointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Iprobe");
    const flag = rank.room("the flag", flagPointer);
    const tell = rank.statusRoom(statusPointer);
    if (probed(rank, from, tag, comm) === null) {
      await rank.messages.progress(false);
    }
    const status = probed(rank, from, tag, comm);
    flag(status === null ? 0 : 1);
    if (status !== null) {
      tell(status);
    }
    return SUCCESS;
  },

  "env.MPI_Get_count": (statusPointer: number, type: number, countPointer: number): number => {
    const rank = ranks.at("MPI_Get_count");
    const [, , , sizeBytes = 0] = rank.ints("the status", statusPointer, 4);
    const { extentBytes } = rank.datatype(type);
    const count = extentBytes === 0 ? 0 : sizeBytes / extentBytes;
    rank.room("the count", countPointer)(Number.isInteger(count) ? count : UNDEFINED);
    return SUCCESS;
  },
});

function probed(rank: Rank, from: number, tag: number, comm: number): Status | null {
  const communicator = rank.communicator(comm);
  if (from === PROC_NULL) {
    return FROM_NOBODY;
  }
  const found = rank.messages.find(...inContext(communicator, sourceAndTag(rank, communicator, from, tag)));
  return found === null ? null : { source: communicator.group.indexOf(found.from), tag: found.tag, sizeBytes: found.sizeBytes };
}

function inContext({ context }: Communicator, [source, tag]: readonly [number, number]): [number, number, number] {
  return [source, context, tag];
}

/** Waits for all, each of which is MPI_REQUEST_NULL then, and tells their statuses in order. */
async function waitAll(
  rank: Rank,
  requestsPointer: number,
  count: number,
  tell: (at: number, status: Status) => void,
): Promise<void> {
  const numbers = rank.ints("the requests", requestsPointer, count);
  const all = numbers.map((number) => rank.request(number) ?? NOTHING);
  await rank.messages.wait(all.map(({ transfer }) => transfer));
  for (const [at, pending] of all.entries()) {
    rank.ended(numbers[at] ?? NULL);
    rank.room("the requests", requestsPointer + 4 * at)(NULL);
    tell(at, pending.status());
  }
}
