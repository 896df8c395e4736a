/** A function's options as JSON: `{"retry": {"attemptsMax": 5, "backoffMs": 200, "backoffMaxMs": 60000}, "limits": {"wallTimeMs": 1000}, "environment": {"LEVEL": "debug"}}`. */
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import { checkedEnvironment, type Environment } from "../modules/environment.ts";
import type { FunctionOptions } from "../modules/functions.ts";
import { ATTEMPTS_MAX, BACKOFF_MAX_MS, RETRY_CAUSES, type RetryCause, type RetryPolicy } from "../modules/retry-policy.ts";
import { FUNCTION_LIMITS, type FunctionLimits, LIMITS } from "../tenancy/index.ts";
import { describeJsonFault } from "./json-scan.ts";

/** The options' body: small, so that it is read whole. */
export const OPTIONS_MAX_BYTES = 16 * 1024;

/** @throws MALFORMED_JSON, BAD_REQUEST  with field and value */
export function functionOptions(body: Uint8Array): FunctionOptions {
  const { retry, limits, environment, ...rest } = record("the body", parse(Buffer.from(body).toString()));
  noOthers("the body", rest);
  if (retry === undefined && limits === undefined && environment === undefined) {
    throw new NeapError("BAD_REQUEST", "the body has neither retry nor limits nor environment");
  }
  return {
    ...(retry !== undefined && { retry: retry === null ? null : retryPolicy(record("retry", retry)) }),
    ...(limits !== undefined && { limits: limits === null ? null : functionLimits(record("limits", limits)) }),
    ...(environment !== undefined && { environment: environment === null ? null : variables(environment) }),
  };
}

function functionLimits(given: Record<string, unknown>): FunctionLimits | null {
  const limits: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!FUNCTION_LIMITS.some((known) => known === name)) {
      throw new NeapError("BAD_REQUEST", `limits has the field ${quote(name)}, which is none of ${FUNCTION_LIMITS.join(", ")}`);
    }
    const { minimum, maximum } = LIMITS[name as keyof FunctionLimits].shape;
    limits[name] = whole(`limits.${name}`, value, minimum, maximum);
  }
  return Object.keys(limits).length === 0 ? null : limits;
}

function variables(given: unknown): Environment | null {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new NeapError("BAD_REQUEST", "environment must be an object");
  }
  return checkedEnvironment("environment", { ...given });
}

function retryPolicy({ attemptsMax, backoffMs, backoffMaxMs, causes, ...rest }: Record<string, unknown>): RetryPolicy {
  noOthers("retry", rest);
  const firstMs = whole("retry.backoffMs", backoffMs, 0, BACKOFF_MAX_MS);
  return {
    attemptsMax: whole("retry.attemptsMax", attemptsMax, 1, ATTEMPTS_MAX),
    backoffMs: firstMs,
    backoffMaxMs: whole("retry.backoffMaxMs", backoffMaxMs, firstMs, BACKOFF_MAX_MS),
    causes: causes === undefined ? RETRY_CAUSES : retryCauses(causes),
  };
}

function retryCauses(value: unknown): readonly RetryCause[] {
  const isCause = (one: unknown): one is RetryCause => RETRY_CAUSES.some((cause) => cause === one);
  if (!Array.isArray(value) || !value.every(isCause)) {
    throw new NeapError("BAD_REQUEST", `retry.causes is ${show(value)}, must be a list of ${RETRY_CAUSES.join(", ")}`);
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new NeapError("MALFORMED_JSON", `the body is not JSON: ${describeJsonFault(text)}`);
  }
}

function record(field: string, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new NeapError("BAD_REQUEST", `${field} is ${show(value)}, must be an object`);
  }
  return { ...value };
}

function noOthers(field: string, rest: object): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) {
    throw new NeapError("BAD_REQUEST", `${field} has the field ${quote(unknown)}, which there is not`);
  }
}

function whole(field: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new NeapError("BAD_REQUEST", `${field} is ${show(value)}, must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function show(value: unknown): string {
  return value === undefined ? "missing" : quote(JSON.stringify(value));
}
