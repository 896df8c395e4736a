/** Imports: requests to other systems. */
import type { Guest } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";
import { guestText } from "./guest-text.ts";
import { GuestError, httpReadArgs, httpReadReply, httpRequestArgs, Operation } from "./operations.ts";
import { request } from "./requests.ts";

const METHOD_MAX_BYTES = 16;
const URL_MAX_BYTES = 8 * 1024;
const HEADERS_MAX_BYTES = 16 * 1024;
const BODY_MAX_BYTES = 1024 * 1024;
const ONCE = 1;

export const http = (guest: Guest) => ({
  "neap.http_request": async (
    methodPointer: number,
    methodLength: number,
    urlPointer: number,
    urlLength: number,
    headersPointer: number,
    headersLength: number,
    bodyPointer: number,
    bodyLength: number,
    flags: number,
  ): Promise<number> => {
    const texts = [
      guestText(guest, "http_request: method", methodPointer, methodLength, METHOD_MAX_BYTES),
      guestText(guest, "http_request: url", urlPointer, urlLength, URL_MAX_BYTES),
      guestText(guest, "http_request: headers", headersPointer, headersLength, HEADERS_MAX_BYTES),
    ] as const;
    const body = guestBytes(guest, "http_request: body", bodyPointer, bodyLength);
    if (guest.call.inPart) {
      return GuestError.notInPart;
    }
    const [method, url, headers] = texts;
    if (method === null || url === null || headers === null || (flags !== 0 && flags !== ONCE)) {
      return GuestError.invalid;
    }
    if (body.byteLength > BODY_MAX_BYTES) {
      return GuestError.tooLarge;
    }
    const args = httpRequestArgs.encode({ method, url, headers, once: flags === ONCE, body });
    return (await request(guest, Operation.httpRequest, args)).code;
  },

  "neap.http_read": async (part: number, offset: bigint, pointer: number, capacity: number): Promise<bigint> => {
    guestBytes(guest, "http_read: buffer", pointer, capacity);
    if (guest.call.inPart) {
      return BigInt(GuestError.notInPart);
    }
    if ((part !== 0 && part !== 1) || offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
      return BigInt(GuestError.invalid);
    }
    const start = Number(offset);
    for (let copiedBytes = 0; ; ) {
      const reply = await request(guest, Operation.httpRead, httpReadArgs.encode({ part, offset: start + copiedBytes }));
      if (reply.code < 0) {
        return BigInt(reply.code);
      }
      const { sizeBytes, slice } = httpReadReply.decode(reply.bytes);
      const room = guestBytes(guest, "http_read: buffer", pointer, capacity).subarray(copiedBytes);
      room.set(slice.subarray(0, room.byteLength));
      copiedBytes += slice.byteLength;
      if (slice.byteLength === 0 || copiedBytes >= capacity >>> 0 || start + copiedBytes >= sizeBytes) {
        return BigInt(sizeBytes);
      }
    }
  },
});
