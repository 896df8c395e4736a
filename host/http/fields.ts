/** Checks of what routes take from paths, queries and headers. Each error is BAD_REQUEST or what is named, with field and value. */
import type { IncomingMessage } from "node:http";
import { NeapError } from "../../state/errors.ts";
import {
  type InstanceId,
  isName,
  type LogBookId,
  logBookId,
  NAME_RULE,
  OBJECT_KEY_MAX_BYTES,
  objectKey,
  quote,
} from "../../state/ids.ts";
import { FILES_PREFIX } from "../abi/index.ts";

/** @throws BAD_NAME */
export function tenantField(field: string, value: string): LogBookId {
  return logBookId(nameField(field, value));
}

/** @throws BAD_NAME */
export function nameField(field: string, value: string): string {
  if (!isName(value)) {
    throw new NeapError("BAD_NAME", `${field} is ${quote(value)}, must be ${NAME_RULE}`);
  }
  return value;
}

const FILE_NAME_MAX_BYTES = 255;

/** The object that is the shared file. @throws BAD_KEY for what a program could not open as a file */
export function sharedFileKey(path: string): string {
  for (const name of path.split("/")) {
    if (name === "" || name === "." || name === ".." || Buffer.byteLength(name) > FILE_NAME_MAX_BYTES) {
      throw new NeapError(
        "BAD_KEY",
        `file path ${quote(path)} must be names of 1 to ${FILE_NAME_MAX_BYTES} bytes with "/" between them, and none of them "." or ".."`,
      );
    }
  }
  return objectKey(FILES_PREFIX + path);
}

/** For prefixes and the like: may be empty. @throws BAD_REQUEST */
export function textQuery(field: string, value: unknown): string {
  if (value === undefined) {
    return "";
  }
  if (typeof value !== "string" || Buffer.byteLength(value) > OBJECT_KEY_MAX_BYTES || hasControls(value)) {
    throw new NeapError(
      "BAD_REQUEST",
      `${field} must be given once, with at most ${OBJECT_KEY_MAX_BYTES} bytes and no control characters`,
    );
  }
  return value;
}

/** @throws BAD_REQUEST */
export function flagQuery(field: string, value: unknown): boolean {
  if (value !== undefined && value !== "true" && value !== "false") {
    throw new NeapError("BAD_REQUEST", `${field} is ${quote(String(value))}, must be true or false`);
  }
  return value === "true";
}

/** @throws BAD_REQUEST */
export function wholeQuery(field: string, value: unknown, range: { min: number; max: number; preset: number }): number {
  if (value === undefined) {
    return range.preset;
  }
  const number = typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= range.min && number <= range.max)) {
    throw new NeapError(
      "BAD_REQUEST",
      `${field} is ${quote(String(value))}, must be a whole number from ${range.min} to ${range.max}`,
    );
  }
  return number;
}

/** @throws UNKNOWN_INSTANCE  also for what cannot be an instance's id */
export function instanceField(value: string): InstanceId {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(value)) {
    throw new NeapError("UNKNOWN_INSTANCE", `no instance has the id ${quote(value)}`);
  }
  return value as InstanceId;
}

/** The Idempotency-Key, or undefined. @throws BAD_REQUEST */
export function idempotencyKey(request: IncomingMessage): string | undefined {
  const value = request.headers["idempotency-key"];
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== "string" || !/^[\x21-\x7e]{1,255}$/.test(value)) {
    throw new NeapError("BAD_REQUEST", "Idempotency-Key must be given once, with 1 to 255 visible ASCII characters");
  }
  return value;
}

/** `Neap-Trace: operations` asks for the times of a call's operations. @throws BAD_REQUEST for anything else */
export function tracesOperations(request: IncomingMessage): boolean {
  const value = request.headers["neap-trace"];
  if (value !== undefined && value !== "operations") {
    throw new NeapError("BAD_REQUEST", `Neap-Trace is ${quote(String(value))}, must be operations or left out`);
  }
  return value === "operations";
}

function hasControls(value: string): boolean {
  return /\p{Cc}/u.test(value);
}
