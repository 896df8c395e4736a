/** The host's error codes. Thrown as NeapError; HTTP turns them into bodies with the status given here. */
import { type ErrorSpec, STATE_ERRORS } from "../state/errors.ts";

export const HOST_ERRORS = {
  // requests
  BAD_REQUEST: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "A field of the request is missing, has the wrong type or is out of range.",
  },
  MALFORMED_JSON: { fault: "caller", retry: "never", status: 400, meaning: "The body is not JSON." },
  ARGUMENT_INVALID: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "An argument is not of the type that the entry point takes; the message names its path, the value and the type.",
  },
  BODY_TOO_LARGE: { fault: "caller", retry: "never", status: 413, meaning: "The body is larger than the limit of this route." },
  FOREIGN_ORIGIN: {
    fault: "caller",
    retry: "never",
    status: 403,
    meaning: "The request comes from a web page of another origin, or names a host that is not this one.",
  },
  TOKEN_REFUSED: { fault: "caller", retry: "never", status: 401, meaning: "The bearer token is missing or unknown." },
  FOREIGN_TENANT: { fault: "caller", retry: "never", status: 403, meaning: "The token belongs to another tenant." },
  ADMIN_ONLY: { fault: "caller", retry: "never", status: 403, meaning: "The request needs the administrator's scope." },
  UNKNOWN_ROUTE: { fault: "caller", retry: "never", status: 404, meaning: "No such path, or not with this verb." },
  UNKNOWN_FUNCTION: { fault: "caller", retry: "never", status: 404, meaning: "The tenant has no function of this name." },
  UNKNOWN_ENTRY_POINT: {
    fault: "caller",
    retry: "never",
    status: 404,
    meaning: "The function has no typed entry point of this name, or no main.",
  },
  UNKNOWN_CALL: { fault: "caller", retry: "never", status: 404, meaning: "No call has this id." },
  UNKNOWN_LOCK: { fault: "caller", retry: "never", status: 404, meaning: "Nobody holds a lock of this name." },
  UNKNOWN_INSTANCE: { fault: "caller", retry: "never", status: 404, meaning: "No instance has this id." },
  NOT_PARKED: {
    fault: "caller",
    retry: "never",
    status: 409,
    meaning: "An instance that is to be resumed is not parked: it runs, waits for its time, or is done.",
  },
  UNKNOWN_OBJECT: { fault: "caller", retry: "never", status: 404, meaning: "The object does not exist." },
  CALL_ID_TAKEN: { fault: "caller", retry: "never", status: 409, meaning: "The call id was used for another function or input." },
  IDEMPOTENCY_MISMATCH: {
    fault: "caller",
    retry: "never",
    status: 422,
    meaning: "The Idempotency-Key was used for another input.",
  },
  RESULT_EXPIRED: {
    fault: "caller",
    retry: "never",
    status: 410,
    meaning: "The call is finished and its result is no longer kept.",
  },
  NOT_SUPPORTED: { fault: "caller", retry: "never", status: 501, meaning: "This host does not offer the request." },
  // modules
  MODULE_INVALID: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "The module is not valid WebAssembly; the message names section and offset.",
  },
  MODULE_TOO_LARGE: { fault: "caller", retry: "never", status: 413, meaning: "The module has more bytes than allowed." },
  MODULE_IMPORT_UNKNOWN: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "The module imports something this host does not offer, or with another type.",
  },
  MODULE_LIMIT: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "The module asks for more memory, table or functions than allowed.",
  },
  MODULE_REWRITE_FAILED: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning:
      "The module could not be made preemptible or migratable, or its state aliased, as asked, or not in the time an upload has.",
  },
  MODULE_NO_ENTRY: { fault: "caller", retry: "never", status: 400, meaning: "The module exports neither main nor _start." },
  MODULE_START_FAILED: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "The module's start function trapped or ran too long.",
  },
  // calls
  CALL_FAILED: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "The function returned a value other than 0, or trapped.",
  },
  WORLD_LOST: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "A rank of a call with MPI failed, or was lost, and all others with it; nothing of it is run again.",
  },
  OVERLOADED: {
    fault: "platform",
    retry: "after-backoff",
    status: 503,
    meaning:
      "Too many calls wait for a sandbox, or those that run have all the memory that sandboxes may have, or bodies of requests and answers of the tenant, or of the client's address, as much as may be theirs.",
  },
  CALL_TOO_LARGE: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning:
      "The call needs for itself more memory, or threads, than all calls of this host may have together; it had logged nothing, so nothing happened.",
  },
  SHUTTING_DOWN: { fault: "platform", retry: "after-backoff", status: 503, meaning: "The host is stopping." },
  TIME_LIMIT: {
    fault: "guest",
    retry: "never",
    status: 504,
    meaning: "The call ran longer than its wall-time limit; it had logged nothing, so nothing happened.",
  },
  CPU_LIMIT: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "The call took more CPU time than its limit; it had logged nothing, so nothing happened.",
  },
  STATE_LIMIT: { fault: "guest", retry: "never", status: 500, meaning: "The call wrote more state than its limit." },
  STACK_OVERFLOW: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "The call overflowed its stack; it had logged nothing, so nothing happened.",
  },
  OUTPUT_TOO_LARGE: { fault: "guest", retry: "never", status: 500, meaning: "The call's output is larger than the limit." },
  WORKER_LOST: {
    fault: "platform",
    retry: "after-backoff",
    status: 503,
    meaning: "The thread that ran the call was lost; it had logged nothing, so nothing happened.",
  },
  CANCELLED: { fault: "caller", retry: "never", status: 499, meaning: "The client went away before anything was logged." },
  OUTCOME_PENDING: {
    fault: "platform",
    retry: "same-instance",
    status: 504,
    meaning: "The call is logged and not finished; it goes on or is parked. Ask again with the same key or id.",
  },
  NOT_DETERMINISTIC: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "A replay of the function did something else than its first run; the instance is parked.",
  },
  INTERNAL: {
    fault: "platform",
    retry: "after-backoff",
    status: 500,
    meaning: "An unexpected error of the host; its log has the details.",
  },
  // requests of functions to the outside
  EGRESS_BAD_REQUEST: {
    fault: "guest",
    retry: "never",
    status: 400,
    meaning: "A function's request to the outside has a method, URL, header or body that may not be.",
  },
  EGRESS_DENIED: {
    fault: "caller",
    retry: "never",
    status: 403,
    meaning: "The operator does not let functions send requests to this host, address or port.",
  },
  EGRESS_OVERLOADED: {
    fault: "platform",
    retry: "after-backoff",
    status: 503,
    meaning: "Other requests of the tenant took all the time that this one had; it was not sent.",
  },
  EGRESS_UNRESOLVED: {
    fault: "dependency",
    retry: "after-backoff",
    status: 502,
    meaning: "The name of the other system has no address, or too many.",
  },
  EGRESS_FAILED: {
    fault: "dependency",
    retry: "after-backoff",
    status: 502,
    meaning: "There was no connection to the other system, or what came over it was no answer.",
  },
  EGRESS_TIMEOUT: {
    fault: "dependency",
    retry: "after-backoff",
    status: 504,
    meaning: "The other system did not answer in time; whether it has done what it was asked for is not known.",
  },
  EGRESS_TOO_LARGE: {
    fault: "dependency",
    retry: "never",
    status: 502,
    meaning: "The other system's answer is larger than the limit.",
  },
  EGRESS_UNKNOWN_OUTCOME: {
    fault: "platform",
    retry: "never",
    status: 502,
    meaning: "A request that is to be sent once was cut off: whether it was sent is not known.",
  },
  // start
  BAD_OPTION: {
    fault: "caller",
    retry: "never",
    status: 500,
    meaning: "An option or environment variable is unknown or out of range.",
  },
  PORT_IN_USE: { fault: "caller", retry: "never", status: 500, meaning: "Another process listens on the port." },
} as const satisfies Record<string, ErrorSpec>;

export const ERRORS: Readonly<Record<string, ErrorSpec>> = { ...STATE_ERRORS, ...HOST_ERRORS };
export type ErrorCode = keyof typeof STATE_ERRORS | keyof typeof HOST_ERRORS;
