/** The one error class of the project and the table of codes that the state layer throws. Compare `code`, never the text. */

export interface ErrorSpec {
  /** Who can mend it. */
  readonly fault: "caller" | "guest" | "platform" | "dependency";
  /** Whether the same request may be sent again. */
  readonly retry: "never" | "same-instance" | "after-backoff";
  /** HTTP status when it reaches a client. */
  readonly status: number;
  /** One line for the error page. */
  readonly meaning: string;
}

export const STATE_ERRORS = {
  BAD_SEQNUM: { fault: "caller", retry: "never", status: 400, meaning: "A seqnum is not a whole number in range." },
  BAD_TAG: { fault: "caller", retry: "never", status: 400, meaning: "A tag is empty or too long." },
  BAD_NAME: { fault: "caller", retry: "never", status: 400, meaning: "A name has characters that names may not have." },
  BAD_KEY: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "An object key is empty, too long or has control characters.",
  },
  BAD_RECORD: {
    fault: "caller",
    retry: "never",
    status: 400,
    meaning: "A record to append has an unknown kind, no content or too many parts.",
  },
  RECORD_TOO_LARGE: {
    fault: "caller",
    retry: "never",
    status: 413,
    meaning: "A record, or an append as a whole, is larger than it may be.",
  },
  OBJECT_TOO_LARGE: { fault: "caller", retry: "never", status: 413, meaning: "An object is larger than the configured limit." },
  BLOB_MISSING: {
    fault: "platform",
    retry: "same-instance",
    status: 500,
    meaning: "A record names a blob that its owner does not hold.",
  },
  TRIMMED: {
    fault: "platform",
    retry: "same-instance",
    status: 410,
    meaning: "The records asked for have been collected or trimmed.",
  },
  AUX_TOO_LARGE: { fault: "caller", retry: "never", status: 413, meaning: "Aux data of a record is larger than the limit." },
  BAD_TIMEOUT: { fault: "caller", retry: "never", status: 400, meaning: "A time-out is not a whole number of ms in range." },
  TOO_MANY_WAITS: {
    fault: "platform",
    retry: "after-backoff",
    status: 503,
    meaning: "A node waits for too many records at once.",
  },
  WAIT_GIVEN_UP: {
    fault: "caller",
    retry: "never",
    status: 499,
    meaning: "Whoever waited for a record has given up.",
  },
  DISK_FULL: {
    fault: "dependency",
    retry: "after-backoff",
    status: 507,
    meaning: "The disk has no room for another record; nothing was ordered.",
  },
  DISK_FAILED: {
    fault: "dependency",
    retry: "after-backoff",
    status: 503,
    meaning: "The system refused to read or write the value of an object; nothing was changed.",
  },
  JOURNAL_DAMAGED: {
    fault: "dependency",
    retry: "never",
    status: 500,
    meaning: "The journal or its checkpoint is damaged, or they do not belong together; the host refuses to start.",
  },
  JOURNAL_LOCKED: { fault: "caller", retry: "never", status: 500, meaning: "Another process uses this data folder." },
  FOLDER_UNUSABLE: {
    fault: "caller",
    retry: "never",
    status: 500,
    meaning: "The data folder cannot be made, or not be used by this user.",
  },
  PROTOCOL_MISMATCH: {
    fault: "caller",
    retry: "never",
    status: 409,
    meaning: "An object lives where the function's protocol does not look.",
  },
  TRANSACTION_OVER: {
    fault: "caller",
    retry: "never",
    status: 409,
    meaning: "A function reads in the transaction that it was called in, and that has ended before it.",
  },
  REGIONS_FULL: {
    fault: "platform",
    retry: "after-backoff",
    status: 503,
    meaning: "The host's memory for regions is in use by other tenants, or the system has none; the call is tried again.",
  },
  REGIONS_LOST: {
    fault: "guest",
    retry: "never",
    status: 500,
    meaning: "A call that uses memory regions was interrupted after its first step, and what was in them is gone; it is parked.",
  },
  BAD_MODE: { fault: "caller", retry: "never", status: 400, meaning: "A protocol's name is unknown." },
  SWITCH_UNDER_WAY: {
    fault: "caller",
    retry: "after-backoff",
    status: 409,
    meaning: "The scope is being switched to another protocol already.",
  },
  EPOCH_CHANGED: {
    fault: "platform",
    retry: "same-instance",
    status: 503,
    meaning: "The owner of the LogBook was restarted; the attempt is run again from the log.",
  },
  OWNER_UNAVAILABLE: { fault: "dependency", retry: "after-backoff", status: 503, meaning: "The storage node cannot be reached." },
  WRONG_JOURNAL: {
    fault: "caller",
    retry: "never",
    status: 503,
    meaning: "The storage node serves another journal than before, or an older epoch of it.",
  },
  BAD_MESSAGE: {
    fault: "platform",
    retry: "never",
    status: 500,
    meaning: "A message from another node is unknown or malformed.",
  },
  MESSAGE_TOO_LARGE: {
    fault: "platform",
    retry: "never",
    status: 500,
    meaning: "A message to another node would be larger than the limit; it was not sent.",
  },
  REMOTE_FAILED: {
    fault: "platform",
    retry: "after-backoff",
    status: 500,
    meaning: "Another node met an unexpected error; its log has the details.",
  },
  CLUSTER_KEY_REFUSED: { fault: "caller", retry: "never", status: 401, meaning: "The other node has another cluster key." },
} as const satisfies Record<string, ErrorSpec>;

export type StateErrorCode = keyof typeof STATE_ERRORS;

/**
 * An expected failure. `code` is stable and documented in docs/reference/errors.md; `message` may be shown to the caller and
 * names field, value and limit; `cause` is for the log only.
 */
export class NeapError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "NeapError";
    this.code = code;
  }
}

/** True for a NeapError with this code, also for one that crossed a thread or a socket. */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && (error as { code?: unknown }).code === code;
}

/**
 * Stops the process: an invariant of ours does not hold, so nothing computed from here on may be trusted or acknowledged.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) {
    throw new InvariantBroken(what);
  }
}

/** Never caught inside the project; the process-wide handler of `main.ts` logs it and exits. */
export class InvariantBroken extends Error {
  override name = "InvariantBroken";
}
