/** Imports: calls of other functions, and sleep. */
import { type Guest, type GuestCall, GuestFault } from "../sandbox/guest.ts";
import { checkRoom, guestBytes, storeI32 } from "./guest-memory.ts";
import { guestFunctionName } from "./guest-text.ts";
import { callAwaitArgs, callAwaitReply, callStartArgs, GuestError, Operation, sleepArgs } from "./operations.ts";
import { post, request } from "./requests.ts";

/** A larger input travels as an object whose key is the input. */
const CALL_INPUT_MAX_BYTES = 1024 * 1024;
/** What a timer can wait for. */
const SLEEP_MAX_MS = 2 ** 31 - 1;

interface Answer {
  readonly call: GuestCall;
  readonly handle: number;
  readonly returnValue: number;
  readonly output: Uint8Array;
}

export const calls = (guest: Guest) => {
  /** The last answer that did not fit: the guest may ask again with more room. */
  let kept: Answer | null = null;

  async function answerOf(handle: number): Promise<Answer | number> {
    const { call } = guest;
    if (kept !== null && kept.call === call && kept.handle === handle) {
      return kept;
    }
    const reply = await request(guest, Operation.callAwait, callAwaitArgs.encode(handle));
    return reply.code < 0 ? reply.code : { call, handle, ...callAwaitReply.decode(reply.bytes) };
  }

  return {
    "neap.call_start": (
      namePointer: number,
      nameLength: number,
      inputPointer: number,
      inputLength: number,
    ): number | Promise<number> => {
      const functionName = guestFunctionName(guest, "call_start: name", namePointer, nameLength);
      const input = guestBytes(guest, "call_start: input", inputPointer, inputLength);
      const { call } = guest;
      if (call.inPart) {
        return GuestError.notInPart;
      }
      if (functionName === null) {
        return GuestError.invalid;
      }
      if (input.byteLength > CALL_INPUT_MAX_BYTES) {
        return GuestError.tooLarge;
      }
      const handle = call.callCount;
      call.callCount += 1;
      return post(guest, Operation.callStart, callStartArgs.encode({ functionName, input }), handle);
    },

    "neap.call_await": async (handle: number, pointer: number, capacity: number, returnValuePointer: number): Promise<bigint> => {
      guestBytes(guest, "call_await: buffer", pointer, capacity);
      checkRoom(guest, "call_await: return value", returnValuePointer, 4);
      if (guest.call.inPart) {
        return BigInt(GuestError.notInPart);
      }
      if (handle < 0 || handle >= guest.call.callCount) {
        return BigInt(GuestError.invalid);
      }
      const answer = await answerOf(handle);
      if (typeof answer === "number") {
        return BigInt(answer);
      }
      const { output, returnValue } = answer;
      const room = guestBytes(guest, "call_await: buffer", pointer, capacity);
      room.set(output.subarray(0, room.byteLength));
      storeI32(guest, "call_await: return value", returnValuePointer, returnValue);
      kept = output.byteLength > room.byteLength ? answer : null;
      return BigInt(output.byteLength);
    },

    "neap.sleep": async (durationMs: bigint): Promise<void> => {
      if (guest.call.inPart) {
        throw new GuestFault("sleep: not possible inside a storage part");
      }
      if (durationMs < 0n || durationMs > BigInt(SLEEP_MAX_MS)) {
        throw new GuestFault(`sleep: duration is ${durationMs} ms, must be 0 to ${SLEEP_MAX_MS}`);
      }
      await request(guest, Operation.sleep, sleepArgs.encode(Number(durationMs)));
    },
  };
};
