/**
 * The JSON object of Faasm's invocation API: which keys there are, their types, and what this host makes of them (H26). Unknown
 * keys are ignored, as Faasm ignores them.
 */
import { isUtf8 } from "node:buffer";
import { NeapError } from "../../state/errors.ts";
import { describeJsonFault, parseShallowJson } from "./json-scan.ts";

/** Keys with a meaning, with their types. All others, Faasm's internal ones (`exec_host`, `result_key` …) among them, are ignored. */
const KEY_TYPES: ReadonlyMap<string, "string" | "boolean" | "integer"> = new Map([
  ["user", "string"],
  ["function", "string"],
  ["input_data", "string"],
  ["async", "boolean"],
  ["id", "integer"],
  ["status", "boolean"],
  ["exec_graph", "boolean"],
  ["record_exec_graph", "boolean"],
  ["type", "integer"],
  ["forbid_ndp", "boolean"],
  ["is_storage", "boolean"],
  ["cmdline", "string"],
  ["python", "boolean"],
  ["py_user", "string"],
  ["py_func", "string"],
  ["py_entry", "string"],
  ["mpi", "boolean"],
  ["mpi_world_id", "integer"],
  ["mpi_rank", "integer"],
  ["mpi_world_size", "integer"],
  ["func_ptr", "integer"],
  ["topology_hint", "string"],
  ["migration_check_period", "integer"],
  ["exec_graph_detail", "string"],
  ["int_exec_graph_detail", "string"],
]);

/** A message whose keys have the right types; a missing key has Faasm's default. */
export interface FaasmMessage {
  readonly user: string;
  readonly function: string;
  /** The UTF-8 bytes of `input_data`; null when it has half of a surrogate pair. */
  readonly input: Uint8Array | null;
  readonly async: boolean;
  /** 0: none. */
  readonly id: number;
  readonly status: boolean;
  readonly exec_graph: boolean;
  readonly type: number;
  readonly forbid_ndp: boolean;
  readonly cmdline: string;
  readonly python: boolean;
  readonly mpi: boolean;
  readonly mpi_world_size: number;
  readonly func_ptr: number;
}

const EMPTY = new Uint8Array(0);

const DEFAULTS: FaasmMessage = {
  user: "",
  function: "",
  input: EMPTY,
  async: false,
  id: 0,
  status: false,
  exec_graph: false,
  type: 0,
  forbid_ndp: false,
  cmdline: "",
  python: false,
  mpi: false,
  mpi_world_size: 0,
  func_ptr: 0,
};

/** Of other texts than the input. No longer one has a meaning here but `cmdline`, which is refused then; messages show less. */
const TEXT_KEPT_MAX = 1024;

/** Beyond it a number is not what was sent any more. */
const WHOLE_RANGE = ` from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`;

export const CALL_ID_MAX = 2 ** 31 - 1;

/** @throws BAD_REQUEST  empty body, no object, wrong type; MALFORMED_JSON with the position */
export function parseFaasmMessage(body: Buffer): FaasmMessage {
  return parse(body, JSON.parse);
}

/** The same, slower, and without the memory that a long body of ignored values could take. */
export function parseLongFaasmMessage(body: Buffer): FaasmMessage {
  return parse(body, (text) => parseShallowJson(text, (key) => KEY_TYPES.has(key)));
}

function parse(body: Buffer, parseJson: (text: string) => unknown): FaasmMessage {
  if (body.length === 0) {
    throw new NeapError("BAD_REQUEST", "Empty request");
  }
  if (!isUtf8(body)) {
    throw new NeapError("MALFORMED_JSON", "the body is not JSON: it is not UTF-8");
  }
  const text = body.toString();
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    throw new NeapError("MALFORMED_JSON", `the body is not JSON: ${describeJsonFault(text)}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new NeapError("BAD_REQUEST", `the request must be a JSON object, is ${describe(parsed)}`);
  }
  return checkTypes(parsed as Record<string, unknown>);
}

function checkTypes(given: Record<string, unknown>): FaasmMessage {
  const message: Record<string, unknown> = { ...DEFAULTS };
  for (const key of Object.keys(given)) {
    const type = KEY_TYPES.get(key);
    if (type !== undefined) {
      const value = given[key];
      if (type === "integer" ? !Number.isSafeInteger(value) : typeof value !== type) {
        const wanted = type === "integer" ? `whole number${Number.isInteger(value) ? WHOLE_RANGE : ""}` : type;
        const found = typeof value === "number" && type === "integer" ? String(value) : describe(value);
        throw new NeapError("BAD_REQUEST", `${key} must be a ${wanted}, is ${found}`);
      }
      if (key === "cmdline" && (value as string).length > TEXT_KEPT_MAX) {
        const length = (value as string).length;
        throw new NeapError("BAD_REQUEST", `cmdline is ${length} characters, at most ${TEXT_KEPT_MAX} are allowed`);
      }
      if (key === "input_data") {
        message.input = (value as string).isWellFormed() ? Buffer.from(value as string) : null;
      } else {
        message[key] = typeof value === "string" ? value.slice(0, TEXT_KEPT_MAX) : value;
      }
    }
  }
  return message as unknown as FaasmMessage;
}

/** @throws BAD_REQUEST */
export function checkCallId(id: number): number {
  if (id < 1 || id > CALL_ID_MAX) {
    throw new NeapError("BAD_REQUEST", `id must be a whole number from 1 to ${CALL_ID_MAX}, is ${id}`);
  }
  return id;
}

/**
 * Refuses what Faasm offers and this host does not, so that nothing is silently left out of a call.
 * @throws ADMIN_ONLY, NOT_SUPPORTED, BAD_REQUEST
 */
export function refuseUnoffered(message: FaasmMessage, admin: boolean): void {
  if (message.type !== 0) {
    const name = message.type === 1 ? "KILL" : message.type === 3 ? "FLUSH" : undefined;
    if (name === undefined) {
      throw new NeapError(
        "BAD_REQUEST",
        `Invalid message type: type must be 0 (CALL), 1 (KILL) or 3 (FLUSH), is ${message.type}`,
      );
    }
    if (!admin) {
      throw new NeapError("ADMIN_ONLY", `type ${message.type} (${name}) needs an administrator's token`);
    }
    throw new NeapError("NOT_SUPPORTED", `type ${message.type} (${name}) is not offered: there is no state of executors to end`);
  }
  const unoffered = message.python ? "python true" : undefined;
  if (unoffered !== undefined) {
    throw new NeapError("NOT_SUPPORTED", `${unoffered} is not offered by this host; leave it out`);
  }
}

export const WORLD_SIZE_MAX = 1024;

/** Of a call with MPI; 0 of any other one. @throws BAD_REQUEST */
export function worldSizeOf({ mpi, mpi_world_size: size }: FaasmMessage): number {
  if (!mpi) {
    return 0;
  }
  if (size < 1 || size > WORLD_SIZE_MAX) {
    throw new NeapError("BAD_REQUEST", `mpi_world_size must be a whole number from 1 to ${WORLD_SIZE_MAX}, is ${size}`);
  }
  return size;
}

function describe(value: unknown): string {
  if (value === null) {
    return "null";
  }
  if (Array.isArray(value)) {
    return "an array";
  }
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
