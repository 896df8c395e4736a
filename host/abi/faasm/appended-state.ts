/** Imports: appended state. The elements are the records of a stream of the tenant's LogBook, named "state/<key>". */
import { MAX_SEQNUM } from "../../../state/ids.ts";
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { LOG_RECORD_MAX_BYTES } from "../log.ts";
import { logAppendArgs, logReadArgs, logReadReply, logTailArgs, logTailReply, logTrimArgs } from "../log-messages.ts";
import { GuestError, Operation } from "../operations.ts";
import { post, request } from "../requests.ts";
import { stateKey } from "./text.ts";

export const appendedState = (guest: Guest) => {
  async function tail(tag: string): Promise<number> {
    const { bytes } = await request(guest, Operation.logTail, logTailArgs.encode(tag));
    return logTailReply.decode(bytes).last;
  }

  return {
    "env.__faasm_append_state": async (keyPointer: number, pointer: number, length: number): Promise<void> => {
      const tag = stateKey(guest, "__faasm_append_state: key", keyPointer);
      const bytes = guestBytes(guest, "__faasm_append_state: bytes", pointer, length);
      if (bytes.byteLength > LOG_RECORD_MAX_BYTES) {
        throw new GuestFault(`__faasm_append_state: ${bytes.byteLength} bytes, at most ${LOG_RECORD_MAX_BYTES} are allowed`);
      }
      await post(guest, Operation.logAppend, logAppendArgs.encode({ tags: [tag], when: [], closes: false, bytes }), 0);
    },

    "env.__faasm_read_appended_state": async (
      keyPointer: number,
      pointer: number,
      length: number,
      count: number,
    ): Promise<void> => {
      const tag = stateKey(guest, "__faasm_read_appended_state: key", keyPointer);
      guestBytes(guest, "__faasm_read_appended_state: buffer", pointer, length);
      const last = await tail(tag);
      let copiedBytes = 0;
      for (let seqnum = 0, left = count >>> 0; left > 0 && copiedBytes < length >>> 0 && seqnum <= last; ) {
        const { code, bytes } = await request(guest, Operation.logReadNext, logReadArgs.encode({ tag, seqnum, timeoutMs: 0 }));
        if (code === GuestError.notFound) {
          return;
        }
        const found = logReadReply.decode(bytes);
        seqnum = Math.min(found.seqnum + 1, MAX_SEQNUM);
        if (code >= 0) {
          const room = guestBytes(guest, "__faasm_read_appended_state: buffer", pointer, length).subarray(copiedBytes);
          room.set(found.bytes.subarray(0, room.byteLength));
          copiedBytes += found.bytes.byteLength;
          left -= 1;
        }
      }
    },

    "env.__faasm_clear_appended_state": async (keyPointer: number): Promise<void> => {
      const tag = stateKey(guest, "__faasm_clear_appended_state: key", keyPointer);
      await post(guest, Operation.logTrim, logTrimArgs.encode({ tag, upTo: await tail(tag) }), 0);
    },
  };
};
