/** The host's log: one line per event, JSON for machines, a short form for a terminal. Outside output commit: a line may tell what a crash undoes. */
import { pino } from "pino";
import type { Clock } from "../../state/ports.ts";

/** What happened to whom. Fields are data, the message is a constant sentence. */
export interface LogFields {
  readonly tenant?: string;
  readonly instance?: string;
  readonly step?: number;
  readonly attempt?: number;
  /** Code of an error, see docs/reference/errors.md. */
  readonly code?: string;
  /** Logged with stack and causes. */
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry these fields. */
  with(fields: LogFields): Log;
}

export type LogLevel = "silent" | "fatal" | "error" | "warn" | "info" | "debug" | "trace";

/** Where lines go; each ends with a line feed. */
export interface LogDestination {
  write(line: string): unknown;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly destination: LogDestination;
  /** One readable line per event instead of JSON. */
  readonly pretty: boolean;
  readonly clock: Clock;
}

export function createLog(options: LogOptions): Log {
  const { destination } = options;
  const target = options.pretty ? { write: (line: string) => destination.write(prettyLine(line)) } : destination;
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
    },
    target,
  );
  return new PinoLog(logger);
}

type Logger = Pick<pino.Logger, "debug" | "info" | "warn" | "error"> & { child(fields: object): Logger };

class PinoLog implements Log {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#logger.debug(fields, message);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#logger.info(fields, message);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#logger.warn(fields, message);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#logger.error(fields, message);
  }

  with(fields: LogFields): Log {
    return new PinoLog(this.#logger.child(fields));
  }
}

/** For tests and for embedding: no line at all. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
};

/** `12:34:56.789 warn  message field=value …`, then the stack of an error. */
function prettyLine(line: string): string {
  const { time, level, msg, error, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const stack = typeof error === "object" && error !== null ? `\n${String((error as { stack?: unknown }).stack)}` : "";
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}${pairs.join("")}${stack}\n`;
}
