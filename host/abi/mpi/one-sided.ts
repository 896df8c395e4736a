/** Imports: memory of ranks that others reach. */
import type { Datatype } from "./datatypes.ts";
import { combineOf, operatorName, REPLACE } from "./operators.ts";
import { NULL, PROC_NULL, type Rank, type Ranks, SUCCESS } from "./rank.ts";
import { ACCESSES_MAX, type Access, AccessKind, piecesOf, WINDOWS_MAX, type Window } from "./windows.ts";

type Origin = readonly [pointer: number, count: number, datatype: number];
type Target = readonly [rank: number, displacement: number, count: number, datatype: number];

function windowOf(rank: Rank, number: number): Window {
  const found = rank.windows.get(number);
  if (found === undefined) {
    throw rank.fault(`there is no window ${number}`);
  }
  return found;
}

/** It happens at the next fence. @throws GuestFault  it reaches beyond the target's window */
function ask(
  rank: Rank,
  number: number,
  [pointer, count, type]: Origin,
  [to, displacement, targetCount, targetType]: Target,
  how: Pick<Access, "kind" | "operator" | "values">,
): number {
  const window = windowOf(rank, number);
  const origin = rank.span("the origin buffer", pointer, count, rank.datatype(type));
  const targetBytes = rank.count("the target count", targetCount) * rank.datatype(targetType).extentBytes;
  if (origin.sizeBytes !== targetBytes) {
    throw rank.fault(`the origin has ${origin.sizeBytes} bytes, the target ${targetBytes}`);
  }
  if (to === PROC_NULL || origin.sizeBytes === 0) {
    return SUCCESS;
  }
  rank.peer(window.communicator, "the target", to);
  const { sizeBytes, unitBytes } = window.shapes[to] ?? { sizeBytes: 0, unitBytes: 0 };
  const offset = displacement * unitBytes;
  if (offset < 0 || offset + targetBytes > sizeBytes) {
    throw rank.fault(`${targetBytes} bytes at ${offset} reach beyond the window of rank ${to}, which has ${sizeBytes}`);
  }
  const asked = window.asked[to] ?? [];
  const pieces = piecesOf({ ...how, origin, offset });
  if (asked.length + pieces.length > ACCESSES_MAX) {
    throw rank.fault(`there are ${asked.length} accesses since the last fence, at most ${ACCESSES_MAX} may be`);
  }
  asked.push(...pieces);
  return SUCCESS;
}

/** @throws GuestFault  such values cannot be combined so */
function checkAccumulate(rank: Rank, operator: number, { kind, name }: Datatype): NonNullable<Datatype["kind"]> {
  const isDefined = kind !== null && (operator === REPLACE || combineOf(operator, kind) !== null);
  if (!isDefined) {
    const known = operator === REPLACE ? "MPI_REPLACE" : operatorName(operator);
    throw rank.fault(
      known === undefined ? `there is no predefined operation ${operator}` : `${known} is not defined for ${name}`,
    );
  }
  return kind;
}

export const oneSided = (ranks: Ranks) => ({
  "env.MPI_Win_create": async (
    base: number,
    sizeBytes: number,
    unitBytes: number,
    _info: number,
    comm: number,
    pointer: number,
  ): Promise<number> => {
    const rank = ranks.at("MPI_Win_create");
    const communicator = rank.communicator(comm);
    const store = rank.room("the window", pointer);
    const span = rank.span("the base", base, sizeBytes, BYTES);
    if (unitBytes < 1) {
      throw rank.fault(`the displacement unit is ${unitBytes}, must be 1 or more`);
    }
    if (rank.windows.isFull || rank.communicators.isFull) {
      throw rank.fault(`there are ${WINDOWS_MAX} windows, or as many communicators as there may be`);
    }
    const made = await rank.communicators.split(communicator, 0, communicator.rank);
    store(await rank.windows.create(rank.communicator(made), span, unitBytes));
    rank.communicators.free(made);
    return SUCCESS;
  },

  "env.MPI_Win_fence": async (_assert: number, number: number): Promise<number> => {
    const rank = ranks.at("MPI_Win_fence");
    await rank.windows.fence(windowOf(rank, number));
    return SUCCESS;
  },

  "env.MPI_Win_free": async (pointer: number): Promise<number> => {
    const rank = ranks.at("MPI_Win_free");
    const [number = NULL] = rank.ints("the window", pointer, 1);
    await windowOf(rank, number).communicator.collective.barrier();
    rank.windows.free(number);
    rank.room("the window", pointer)(NULL);
    return SUCCESS;
  },

  "env.MPI_Put": (
    originPointer: number,
    originCount: number,
    originType: number,
    target: number,
    displacement: number,
    targetCount: number,
    targetType: number,
    number: number,
  ): number => {
    const how = { kind: AccessKind.put, operator: 0, values: "u8" } as const;
    const origin = [originPointer, originCount, originType] as const;
    return ask(ranks.at("MPI_Put"), number, origin, [target, displacement, targetCount, targetType], how);
  },

  "env.MPI_Get": (
    originPointer: number,
    originCount: number,
    originType: number,
    target: number,
    displacement: number,
    targetCount: number,
    targetType: number,
    number: number,
  ): number => {
    const how = { kind: AccessKind.get, operator: 0, values: "u8" } as const;
    const origin = [originPointer, originCount, originType] as const;
    return ask(ranks.at("MPI_Get"), number, origin, [target, displacement, targetCount, targetType], how);
  },

  "env.MPI_Accumulate": (
    originPointer: number,
    originCount: number,
    originType: number,
    target: number,
    displacement: number,
    targetCount: number,
    targetType: number,
    operator: number,
    number: number,
  ): number => {
    const rank = ranks.at("MPI_Accumulate");
    const values = checkAccumulate(rank, operator, rank.datatype(targetType));
    const how = { kind: AccessKind.accumulate, operator, values };
    const origin = [originPointer, originCount, originType] as const;
    return ask(rank, number, origin, [target, displacement, targetCount, targetType], how);
  },
});

const BYTES: Datatype = { name: "MPI_BYTE", extentBytes: 1, sizeBytes: 1, kind: "u8" };
