/**
 * Import: storage parts, the worker's side of push-down.
 *
 * P1. The guest is suspended in storage_call from the offer to the end of the part; the state that comes back is applied then and
 *     only then (F21).
 * P2. A part that calls storage_call again runs the inner part in the same place: only the outermost one is offered.
 */

import { guestStateBytes } from "../sandbox/frames/protocol.ts";
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { settleState } from "./faasm/local-state.ts";
import { guestKey } from "./guest-text.ts";
import { GuestError, Operation, Placement, partAnswer, partOfferArgs } from "./operations.ts";
import { post, request } from "./requests.ts";

/** Each running part holds a stack of its own, and the process has a bounded number of stacks (H16). */
const PART_DEPTH_MAX = 8;
const NOTHING = new Uint8Array(0);

export const parts = (guest: Guest) => ({
  "neap.storage_call": async (keyPointer: number, keyLength: number, index: number): Promise<number> => {
    const key = guestKey(guest, "storage_call: key", keyPointer, keyLength);
    return key === null ? GuestError.invalid : runPart(guest, key, index >>> 0);
  },
});

/** Runs the table's function (i32, …) → i32 as a part that works on the object. @returns its value */
export async function runPart(guest: Guest, key: string, tableIndex: number, args: readonly number[] = []): Promise<number> {
  if (guest.call.inPart) {
    return runInner(guest, tableIndex, args);
  }
  await settleState(guest);
  const usesSideModules = guest.sideModules?.isUsed === true;
  const offer = await request(guest, Operation.partOffer, partOfferArgs.encode({ key, tableIndex, usesSideModules }));
  if (offer.code === Placement.ship) {
    const value = await ship(guest, args);
    if (value !== null) {
      return value;
    }
  }
  const value = await runOutermost(guest, tableIndex, args);
  return post(guest, Operation.partEnd, NOTHING, value);
}

/** The outermost part is not counted, as elsewhere it does not begin here. */
async function runInner(guest: Guest, tableIndex: number, args: readonly number[]): Promise<number> {
  const { call } = guest;
  if (call.innerParts === PART_DEPTH_MAX - 1) {
    throw new GuestFault(`storage_call: parts are nested deeper than ${PART_DEPTH_MAX}`);
  }
  call.innerParts += 1;
  try {
    return await guest.runTableFunction(tableIndex, args);
  } finally {
    call.innerParts -= 1;
  }
}

async function runOutermost(guest: Guest, tableIndex: number, args: readonly number[]): Promise<number> {
  const { call } = guest;
  call.inPart = true;
  try {
    const value = await guest.runTableFunction(tableIndex, args);
    await settleState(guest);
    call.mappings.endPart(guest.memory());
    return value;
  } finally {
    call.inPart = false;
  }
}

/** @returns the part's value, or null when it shall run here after all and nothing has happened */
async function ship(guest: Guest, args: readonly number[]): Promise<number | null> {
  guest.call.partArguments = args;
  const reply = await request(guest, Operation.partShip, guestStateBytes.encode(guest.capture()));
  const answer = partAnswer.decode(reply);
  switch (answer.kind) {
    case "done":
      guest.restore(answer.state);
      guest.call.inPart = false;
      return answer.value;
    case "local":
      return null;
    case "trapped":
      throw new GuestFault(answer.message);
  }
}
