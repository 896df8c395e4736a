/** Branded ids of the state layer. One constructor per id checks the range at the edge; inside there is no cast. */
import { NeapError } from "./errors.ts";

export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** Place of a record in its journal's order; 1, 2, 3 … without gaps per journal, so a LogBook sees gaps. 0 means "none". */
export type SeqNum = Brand<number, "SeqNum">;
/** Selects a stream of a LogBook. The part before the first "/" is a namespace, see `tags.ts`. */
export type Tag = Brand<string, "Tag">;
/** Names a LogBook: one per tenant. */
export type LogBookId = Brand<string, "LogBookId">;
/** One logical execution of a function, the same across crashes, retries and duplicates. */
export type InstanceId = Brand<string, "InstanceId">;
/** Names a blob for ever; its bytes never change (F7). */
export type BlobName = Brand<string, "BlobName">;

export const NO_SEQNUM = 0 as SeqNum;
/** Above every real seqnum. */
export const MAX_SEQNUM = Number.MAX_SAFE_INTEGER as SeqNum;

/** @throws BAD_SEQNUM unless 0 ≤ value ≤ 2^53 − 1 and whole. */
export function seqNum(value: number): SeqNum {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new NeapError("BAD_SEQNUM", `seqnum is ${value}, must be a whole number from 0 to 2^53 - 1`);
  }
  return value as SeqNum;
}

export const TAG_MAX_BYTES = 1_200;

/** @throws BAD_TAG when the tag is empty or longer than TAG_MAX_BYTES in UTF-8. */
export function tag(value: string): Tag {
  // A character has at most three bytes: nearly every tag is short enough whatever it holds.
  if (value.length === 0 || value.length > TAG_MAX_BYTES / 3) {
    const sizeBytes = Buffer.byteLength(value);
    if (sizeBytes === 0 || sizeBytes > TAG_MAX_BYTES) {
      throw new NeapError("BAD_TAG", `tag is ${sizeBytes} bytes, must be 1 to ${TAG_MAX_BYTES}`);
    }
  }
  return value as Tag;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** @throws BAD_NAME unless 1 to 128 of A-Z a-z 0-9 _ . -, not starting with "." or "-", without "..". */
export function logBookId(value: string): LogBookId {
  if (!isName(value)) {
    throw new NeapError("BAD_NAME", `LogBook id ${quote(value)} is not a name: ${NAME_RULE}`);
  }
  return value as LogBookId;
}

export const NAME_RULE = "1 to 128 characters from A-Z a-z 0-9 _ . - that start with a letter, digit or _ and hold no '..'";

/** Whether `value` may name a tenant or a function. */
export function isName(value: string): boolean {
  return NAME.test(value) && !value.includes("..");
}

/** `value` shortened and escaped for an error message. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
}

export const OBJECT_KEY_MAX_BYTES = 1024;

/** Whether `value` may name an object: 1 to 1,024 bytes of UTF-8 without control characters. */
export function isObjectKey(value: string): boolean {
  return value !== "" && value.isWellFormed() && Buffer.byteLength(value) <= OBJECT_KEY_MAX_BYTES && !CONTROL.test(value);
}

/** @throws BAD_KEY unless `isObjectKey` */
export function objectKey(value: string): string {
  if (!isObjectKey(value)) {
    throw new NeapError(
      "BAD_KEY",
      `object key ${quote(value)} must be 1 to ${OBJECT_KEY_MAX_BYTES} bytes of UTF-8 without control characters`,
    );
  }
  return value;
}

const CONTROL = /\p{Cc}/u;
