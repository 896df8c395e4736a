/** Where the connections between nodes report what an operator should know. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogFields {
  readonly code?: string;
  /** Logged with stack and causes. */
  readonly error?: unknown;
  readonly [field: string]: unknown;
}
