/**
 * Checks what a process says: whoever has broken out of the engine there says what he likes. Of his own tenant's calls he can make
 * anything, as they run in his hands; the host's memory and time he must not get.
 */

import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { EndKind, type Frame, FrameType, guestStateBytes } from "../frames/protocol.ts";
import { HELD_STATE_MAX_BYTES } from "../guest.ts";
import type { Attempt } from "./attempt.ts";

/** Messages of ends, and what surrounds an output. */
const TEXT_MAX_BYTES = 64 * 1024;
/** What an executor may add to a call's own lines. */
const LOG_NOTE_MAX_BYTES = 1024;

/** What no executor would have said of this attempt; undefined when all is well. */
export function wrongIn(frame: Frame, attempt: Attempt): string | undefined {
  const sizeBytes = frame.body.byteLength;
  const { limits, part } = attempt.start;
  switch (frame.type) {
    case FrameType.operation:
      if (attempt.waiting) {
        return "an operation while another one is waited for";
      }
      return wrongInMemory(frame, attempt) ?? (attempt.isOverrun ? "more operations than its window lets through" : undefined);
    case FrameType.memory:
      return wrongInMemory(frame, attempt);
    case FrameType.log:
      attempt.logBytes += sizeBytes;
      return attempt.logBytes > limits.logMaxBytes + LOG_NOTE_MAX_BYTES
        ? `more than ${limits.logMaxBytes} bytes of log`
        : undefined;
    case FrameType.end:
      if (frame.code === EndKind.returnedWithState) {
        return part === undefined ? "the state of a part from a call that is none" : wrongInState(frame.body);
      }
      if (frame.code === EndKind.frozen) {
        return attempt.freezeAsked ? undefined : "a call stopped in the middle that nobody has asked for";
      }
      return sizeBytes > Math.max(limits.outputMaxBytes, TEXT_MAX_BYTES) ? `an end of ${sizeBytes} bytes` : undefined;
    default:
      return `a frame of type ${frame.type}`;
  }
}

function wrongInMemory({ b: pages }: Frame, { start }: Attempt): string | undefined {
  const { artefact, input, limits } = start;
  const heldMaxBytes = input.byteLength + 2 * limits.outputMaxBytes + HELD_STATE_MAX_BYTES;
  const maxPages = artefact.memoryMaxPages + Math.ceil(heldMaxBytes / WASM_PAGE_BYTES);
  return pages < 0 || pages > maxPages ? `a memory of ${pages} pages, at most ${maxPages} are allowed` : undefined;
}

function wrongInState(body: Uint8Array): string | undefined {
  try {
    guestStateBytes.decode(body);
    return undefined;
  } catch (error) {
    return `a state that cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}
