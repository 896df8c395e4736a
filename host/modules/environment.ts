/** Environment variables of a function, which its programs see. Their values may be secrets: no log, list or message shows them. */
import type { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";

/** Name → value. */
export type Environment = Readonly<Record<string, string>>;

/** Of all names and values together, as `environmentText` writes them. */
export const ENVIRONMENT_MAX_BYTES = 8192;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** @param given  what a client sent for `field` @throws BAD_REQUEST  naming the variable, never its value */
export function checkedEnvironment(field: string, given: Record<string, unknown>): Environment | null {
  const variables: [string, string][] = [];
  for (const [name, value] of Object.entries(given)) {
    if (!NAME.test(name)) {
      const rule = "must be 1 to 128 letters, digits and _, and begin with no digit";
      throw new NeapError("BAD_REQUEST", `${field} has the variable ${quote(name)}: its name ${rule}`);
    }
    if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed()) {
      throw new NeapError("BAD_REQUEST", `${field}.${name} must be a text without NUL`);
    }
    variables.push([name, value]);
  }
  // By definition, not by assignment: __proto__ is a name like any other.
  const environment = Object.fromEntries(variables);
  const sizeBytes = Buffer.byteLength(environmentText(environment));
  if (sizeBytes > ENVIRONMENT_MAX_BYTES) {
    throw new NeapError("BAD_REQUEST", `${field} has ${sizeBytes} bytes, at most ${ENVIRONMENT_MAX_BYTES} are allowed`);
  }
  return variables.length === 0 ? null : environment;
}

/** "KEY=value" of each, a NUL between two of them; "" for none. */
export function environmentText(environment: Environment | null): string {
  return Object.entries(environment ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join("\0");
}

export function writeEnvironment(w: ByteWriter, environment: Environment | null): ByteWriter {
  return w.text(environmentText(environment));
}

export function readEnvironment(r: ByteReader): Environment | null {
  const text = r.text();
  if (text === "") {
    return null;
  }
  return Object.fromEntries(
    text.split("\0").map((variable) => {
      const end = variable.indexOf("=");
      return [variable.slice(0, end), variable.slice(end + 1)];
    }),
  );
}
