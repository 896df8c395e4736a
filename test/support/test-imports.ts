/** Imports of the sandbox's own tests: module "t". Operation 1 asks and waits, operation 2 is posted. */

import { guestStateBytes } from "../../host/sandbox/frames/protocol.ts";
import { shared } from "../../host/sandbox/frames/shared-bytes.ts";
import { type CreateImports, GuestExit, GuestFault } from "../../host/sandbox/guest.ts";
import { ByteWriter } from "../../state/bytes.ts";

export const ASK = 1;
export const POST = 2;
export const SHIP = 3;

export const createImports: CreateImports = (guest) => {
  const bytes = (pointer: number, length: number) => guest.memory().subarray(pointer, pointer + length);
  return {
    // immediate
    "t.input": {
      suspends: false,
      run: (pointer: number) => {
        guest.memory().set(guest.call.input, pointer);
        return guest.call.input.byteLength;
      },
    },
    "t.output": { suspends: false, run: (pointer: number, length: number) => guest.call.appendOutput(bytes(pointer, length)) },
    "t.log": {
      suspends: false,
      run: (pointer: number, length: number) => guest.log(Buffer.from(bytes(pointer, length)).toString()),
    },
    "t.exit": {
      suspends: false,
      run: (value: number) => {
        throw new GuestExit(value);
      },
    },
    "t.fault": {
      suspends: false,
      run: () => {
        throw new GuestFault("not allowed");
      },
    },
    "t.end_thread": { suspends: false, run: () => process.exit(3) },
    "wasi.thread-spawn": { suspends: false, run: (argument: number) => guest.team?.start({ kind: "export", argument }) || -6 },
    // suspending
    "t.ask": {
      suspends: true,
      run: async (value: number) => {
        const reply = await guest.request(ASK, new ByteWriter(4).i32(value).take());
        return reply.code;
      },
    },
    "t.ask_bytes": {
      suspends: true,
      run: async (pointer: number, length: number) => {
        const reply = await guest.request(ASK, bytes(pointer, length));
        guest.memory().set(reply.bytes, pointer);
        return reply.bytes.byteLength;
      },
    },
    "t.post": { suspends: true, run: (pointer: number, length: number) => guest.post(POST, bytes(pointer, length)) },
    "t.at_once": { suspends: true, run: () => 7 },
    "t.at_once_async": { suspends: true, run: async () => 7 },
    /** Runs a part here. */
    "t.part": { suspends: true, run: (tableIndex: number) => guest.runTableFunction(tableIndex >>> 0) },
    /** Runs a part here some microtasks after a reply. */
    "t.part_later": {
      suspends: true,
      run: async (tableIndex: number) => {
        await guest.request(ASK, new Uint8Array(4));
        for (let hops = 0; hops < 10; hops++) {
          await null;
        }
        return guest.runTableFunction(tableIndex >>> 0);
      },
    },
    /** Ships a part; the reply holds its state afterwards. */
    "t.ship": {
      suspends: true,
      run: async (tableIndex: number) => {
        const { delta, hostState } = guest.capture();
        const reply = await guest.request(SHIP, shared(new ByteWriter().u32(tableIndex).bytes(delta).bytes(hostState).take()));
        guest.restore(reply.state ?? guestStateBytes.decode(reply.bytes));
        return reply.code;
      },
    },
  };
};
