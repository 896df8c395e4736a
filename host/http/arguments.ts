/** Arguments of typed entry points: refused here, before anything of their call is logged. */
import { isUtf8 } from "node:buffer";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import type { CallRequest } from "../invocation/invocation.ts";
import {
  calledEntryPoint,
  callTarget,
  checkArguments,
  type EntryPoint,
  fieldsMaxOf,
  isEntryPointName,
  parseArguments,
  TARGET_RULE,
} from "../modules/entry-points/index.ts";
import { WHOLE_BODY_MAX_BYTES } from "./body.ts";
import { nameField } from "./fields.ts";
import { describeJsonFault } from "./json-scan.ts";
import type { MessageThread } from "./message-thread.ts";

/** As much as a function may call another one with. */
export const ARGUMENTS_MAX_BYTES = WHOLE_BODY_MAX_BYTES;
/** To parse and check more takes a thread of its own (H27). */
const CHECK_HERE_MAX_BYTES = 16 * 1024;
/** With more fields in an object that may be left out, less is checked here. */
const CHECK_HERE_FIELDS = 8;

/** A function's name, or `<function>/<entry point>`. @throws BAD_NAME */
export function targetField(field: string, value: string): string {
  if (!value.includes("/")) {
    return nameField(field, value);
  }
  if (callTarget(value) === null) {
    throw new NeapError("BAD_NAME", `${field} is ${quote(value)}, must be ${TARGET_RULE}`);
  }
  return value;
}

/** @throws BAD_NAME */
export function entryPointField(value: string): string {
  if (!isEntryPointName(value)) {
    const rule = "1 to 64 letters, digits, _ and $ that begin with a letter";
    throw new NeapError("BAD_NAME", `entry point is ${quote(value)}, must be ${rule}`);
  }
  return value;
}

/** What refuses a call of an entry point whose arguments are not what it takes; none for a call of a function's own entry. */
export function argumentsCheck(target: string, input: Uint8Array, thread: MessageThread): CallRequest["check"] {
  if (!target.includes("/")) {
    return undefined;
  }
  if (input.byteLength > ARGUMENTS_MAX_BYTES) {
    throw new NeapError(
      "BODY_TOO_LARGE",
      `the arguments are ${input.byteLength} bytes, at most ${ARGUMENTS_MAX_BYTES} are allowed`,
    );
  }
  return (artefact) => {
    const entryPoint = calledEntryPoint(artefact, target);
    if (entryPoint === null) {
      return;
    }
    const fields = Math.max(1, fieldsMaxOf(entryPoint) / CHECK_HERE_FIELDS);
    return input.byteLength * fields > CHECK_HERE_MAX_BYTES ? thread.check(entryPoint, input) : checkInput(entryPoint, input);
  };
}

/** @throws MALFORMED_JSON with the position, ARGUMENT_INVALID */
export function checkInput(entryPoint: EntryPoint, input: Uint8Array): void {
  let given: unknown;
  try {
    given = parseArguments(input);
  } catch {
    const fault = isUtf8(input) ? describeJsonFault(Buffer.from(input).toString()) : "they are not UTF-8";
    throw new NeapError("MALFORMED_JSON", `the arguments are not JSON: ${fault}`);
  }
  checkArguments(entryPoint, given);
}
