/** Imports: calls of other functions, and sleep. */
import { type Guest, GuestFault, type KeptAnswer } from "../sandbox/guest.ts";
import { checkRoom, guestBytes, storeI32 } from "./guest-memory.ts";
import { guestFunctionName } from "./guest-text.ts";
import {
  callAwaitArgs,
  callAwaitReply,
  callCancelArgs,
  callOutputArgs,
  callSelectArgs,
  callSpawnArgs,
  callStartArgs,
  GuestError,
  Operation,
  sleepArgs,
} from "./operations.ts";
import { post, request } from "./requests.ts";

/** A larger input travels as an object whose key is the input. */
export const CALL_INPUT_MAX_BYTES = 1024 * 1024;
/** Of sleeps and of delays before a call. */
const WAIT_MAX_MS = 366 * 24 * 60 * 60 * 1000;
/** Room for the id of a call. */
const ID_MAX_BYTES = 64;
/** Started calls that one select may name. */
const SELECT_MAX = 64;

export const calls = (guest: Guest) => {
  /** What is called with what, or the code that the import answers. `name`: the import's. */
  function callee(
    name: string,
    [namePointer, nameLength, inputPointer, inputLength]: readonly [number, number, number, number],
  ): { functionName: string; input: Uint8Array } | number {
    const functionName = guestFunctionName(guest, `${name}: name`, namePointer, nameLength);
    const input = guestBytes(guest, `${name}: input`, inputPointer, inputLength);
    if (guest.call.inPart) {
      return GuestError.notInPart;
    }
    if (functionName === null) {
      return GuestError.invalid;
    }
    return input.byteLength > CALL_INPUT_MAX_BYTES ? GuestError.tooLarge : { functionName, input };
  }

  const start =
    (name: string, operation: Operation) =>
    (namePointer: number, nameLength: number, inputPointer: number, inputLength: number): number | Promise<number> => {
      const called = callee(name, [namePointer, nameLength, inputPointer, inputLength]);
      if (typeof called === "number") {
        return called;
      }
      const { call } = guest;
      const handle = call.callCount;
      call.callCount += 1;
      return post(guest, operation, callStartArgs.encode(called), handle);
    };

  return {
    "neap.call_start": start("call_start", Operation.callStart),

    "neap.call_start_bound": start("call_start_bound", Operation.callStartBound),

    "neap.call_spawn": (
      namePointer: number,
      nameLength: number,
      inputPointer: number,
      inputLength: number,
      delayMs: bigint,
      idPointer: number,
      idCapacity: number,
    ): number | Promise<number> => {
      const called = callee("call_spawn", [namePointer, nameLength, inputPointer, inputLength]);
      if (idPointer !== 0) {
        guestBytes(guest, "call_spawn: id", idPointer, idCapacity);
      }
      checkWait("call_spawn: delay", delayMs);
      if (typeof called === "number") {
        return called;
      }
      const args = callSpawnArgs.encode({ ...called, delayMs: Number(delayMs) });
      if (idPointer === 0) {
        return post(guest, Operation.callSpawn, args, 0);
      }
      if (idCapacity >>> 0 < ID_MAX_BYTES) {
        return GuestError.tooLarge;
      }
      return request(guest, Operation.callSpawn, args).then(({ code, bytes }) => {
        if (code < 0) {
          return code;
        }
        guestBytes(guest, "call_spawn: id", idPointer, idCapacity).set(bytes.subarray(0, ID_MAX_BYTES));
        return bytes.byteLength;
      });
    },

    "neap.call_select": async (handlesPointer: number, count: number): Promise<number> => {
      const sizeBytes = (count >>> 0) * 4;
      const bytes = guestBytes(guest, "call_select: handles", handlesPointer, Math.min(sizeBytes, 2 ** 32 - 1));
      if (guest.call.inPart) {
        return GuestError.notInPart;
      }
      if (bytes.byteLength === 0 || bytes.byteLength > SELECT_MAX * 4) {
        return GuestError.invalid;
      }
      const { handles } = callSelectArgs.decode(bytes);
      if (!handles.every((handle) => isHandle(guest, handle))) {
        return GuestError.invalid;
      }
      return (await request(guest, Operation.callSelect, callSelectArgs.encode(handles))).code;
    },

    "neap.call_cancel": async (handle: number): Promise<number> => {
      if (guest.call.inPart) {
        return GuestError.notInPart;
      }
      if (!isHandle(guest, handle)) {
        return GuestError.invalid;
      }
      return (await request(guest, Operation.callCancel, callCancelArgs.encode(handle))).code;
    },

    "neap.call_await": async (handle: number, pointer: number, capacity: number, returnValuePointer: number): Promise<bigint> => {
      guestBytes(guest, "call_await: buffer", pointer, capacity);
      checkRoom(guest, "call_await: return value", returnValuePointer, 4);
      if (guest.call.inPart) {
        return BigInt(GuestError.notInPart);
      }
      const answer = await awaitCall(guest, handle, pointer, capacity);
      if (typeof answer === "number") {
        return BigInt(answer);
      }
      storeI32(guest, "call_await: return value", returnValuePointer, answer.returnValue);
      return BigInt(answer.sizeBytes);
    },

    "neap.sleep": async (durationMs: bigint): Promise<void> => {
      if (guest.call.inPart) {
        throw new GuestFault("sleep: not possible inside a storage part");
      }
      checkWait("sleep: duration", durationMs);
      await request(guest, Operation.sleep, sleepArgs.encode(Number(durationMs)));
    },
  };
};

function isHandle(guest: Guest, handle: number): boolean {
  return handle >= 0 && handle < guest.call.callCount;
}

/** Waits for the end of a started call and copies the beginning of its output. @returns its answer, or a code when there is none */
export async function awaitCall(
  guest: Guest,
  handle: number,
  pointer: number,
  capacity: number,
): Promise<Omit<KeptAnswer, "slice"> | number> {
  if (!isHandle(guest, handle)) {
    return GuestError.invalid;
  }
  const answer = await answerOf(guest, handle);
  if (typeof answer === "number") {
    return answer;
  }
  const { sizeBytes } = answer;
  const wantedBytes = Math.min(sizeBytes, capacity >>> 0);
  for (let slice = answer.slice, copiedBytes = 0; ; ) {
    const room = guestBytes(guest, "call_await: buffer", pointer, capacity).subarray(copiedBytes);
    room.set(slice.subarray(0, room.byteLength));
    copiedBytes += slice.byteLength;
    if (copiedBytes >= wantedBytes) {
      break;
    }
    const more = await request(guest, Operation.callOutput, callOutputArgs.encode({ handle, offset: copiedBytes }));
    slice = more.bytes;
  }
  guest.call.keptAnswer = sizeBytes > wantedBytes ? answer : null;
  return answer;
}

async function answerOf(guest: Guest, handle: number): Promise<KeptAnswer | number> {
  const { keptAnswer } = guest.call;
  if (keptAnswer?.handle === handle) {
    return keptAnswer;
  }
  const reply = await request(guest, Operation.callAwait, callAwaitArgs.encode(handle));
  return reply.code < 0 ? reply.code : { handle, ...callAwaitReply.decode(reply.bytes) };
}

/** @throws GuestFault */
function checkWait(what: string, durationMs: bigint): void {
  if (durationMs < 0n || durationMs > BigInt(WAIT_MAX_MS)) {
    throw new GuestFault(`${what} is ${durationMs} ms, must be 0 to ${WAIT_MAX_MS}`);
  }
}
