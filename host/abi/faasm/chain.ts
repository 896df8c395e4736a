/** Imports: calls of other functions. The id of a call is its handle plus 1, so that 0 names none. */
import { TARGET_MAX_BYTES } from "../../modules/entry-points/index.ts";
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { awaitCall, CALL_INPUT_MAX_BYTES } from "../calls.ts";
import { guestBytes } from "../guest-memory.ts";
import { guestFunctionName } from "../guest-text.ts";
import { callStartArgs, callStartAtArgs, Operation, type Operation as OperationCode } from "../operations.ts";
import { post } from "../requests.ts";
import { settleState } from "./local-state.ts";
import { cBytes } from "./text.ts";

const NO_CALL = 0;
/** What an await answers that has no call to wait for, or whose call has failed without a value. */
const FAILED = 1;

export const chain = (guest: Guest) => {
  function checkPlace(name: string): void {
    if (guest.call.inPart) {
      throw new GuestFault(`${name}: not possible inside a storage part`);
    }
  }

  /** @throws GuestFault */
  function input(name: string, pointer: number, length: number): Uint8Array {
    const bytes = guestBytes(guest, `${name}: input`, pointer, length);
    checkPlace(name);
    if (bytes.byteLength > CALL_INPUT_MAX_BYTES) {
      throw new GuestFault(`${name}: input is ${bytes.byteLength} bytes, at most ${CALL_INPUT_MAX_BYTES} are allowed`);
    }
    return bytes;
  }

  /** What is called sees the state that its caller has written. */
  async function start(operation: OperationCode, args: Uint8Array): Promise<number> {
    await settleState(guest);
    guest.call.callCount += 1;
    return post(guest, operation, args, guest.call.callCount);
  }

  return {
    "env.__faasm_chain_name": (namePointer: number, inputPointer: number, inputLength: number): number | Promise<number> => {
      const { byteLength } = cBytes(guest, "__faasm_chain_name: name", namePointer, TARGET_MAX_BYTES);
      const functionName = guestFunctionName(guest, "__faasm_chain_name: name", namePointer, byteLength);
      const bytes = input("__faasm_chain_name", inputPointer, inputLength);
      return functionName === null ? NO_CALL : start(Operation.callStart, callStartArgs.encode({ functionName, input: bytes }));
    },

    "env.__faasm_chain_ptr": (tableIndex: number, inputPointer: number, inputLength: number): number | Promise<number> => {
      const bytes = input("__faasm_chain_ptr", inputPointer, inputLength);
      return start(Operation.callStartAt, callStartAtArgs.encode({ tableIndex: tableIndex >>> 0, input: bytes }));
    },

    "env.__faasm_await_call": async (id: number): Promise<number> => {
      checkPlace("__faasm_await_call");
      const answer = await awaitCall(guest, id - 1, 0, 0);
      return typeof answer === "number" ? FAILED : answer.returnValue;
    },

    "env.__faasm_await_call_output": async (id: number, pointer: number, capacity: number): Promise<number> => {
      guestBytes(guest, "__faasm_await_call_output: buffer", pointer, capacity);
      checkPlace("__faasm_await_call_output");
      const answer = await awaitCall(guest, id - 1, pointer, capacity);
      return typeof answer === "number" ? FAILED : answer.returnValue;
    },
  };
};
