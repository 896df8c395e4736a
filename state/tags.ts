/** The namespaces of tags. Two kinds of streams can never meet, as the namespace is the part before the first "/". */
import { type InstanceId, type Tag, tag } from "./ids.ts";

/** The step stream of an instance. */
export const stepTag = (instance: InstanceId): Tag => tag(`i/${instance}`);
/** ATTEMPT, PARKED and RESUMED records of an instance: outside its step stream. */
export const attemptTag = (instance: InstanceId): Tag => tag(`a/${instance}`);
/** All versions of an object. */
export const objectTag = (key: string): Tag => tag(`o/${key}`);
/** The (function, Idempotency-Key) → instance mapping (F20, F30). */
/** Of a function, or of `<function>/<entry point>`: no name holds a ":", but keys may hold slashes. */
export const keyTag = (functionName: string, key: string): Tag => tag(`k/${functionName.replace("/", ":")}/${key}`);
/** The call id of the Faasm-compatible API → instance mapping. */
export const callIdTag = (id: number): Tag => tag(`c/${id}`);
/** The registry entries of a function. */
export const functionTag = (name: string): Tag => tag(`f/${name}`);
/** Every record that creates or deletes an object, of any name: what a list depends on. The owner adds it. */
export const NAMES_TAG: Tag = tag("n/");
/** The LOCK, UNLOCK and LOCK_BROKEN records of a lock. */
export const lockTag = (name: string): Tag => tag(`${LOCK_TAG_PREFIX}${name}`);
/** The records that begin or break a hold of a lock: its last one is the token of whoever holds it. */
export const holdTag = (name: string): Tag => tag(`${HOLD_TAG_PREFIX}${name}`);
/** The LOCK_BROKEN records of all locks, for who looks later. */
export const LOCK_BREAKS_TAG: Tag = tag("lock-breaks/");

/** A stream that a guest names: of the tenant's LogBook, and of no stream of the host's (F36). */
export const guestTag = (name: string): Tag => tag(`u/${name}`);

export const LOCK_TAG_PREFIX = "l/";
export const HOLD_TAG_PREFIX = "h/";
/** The mode records of a scope. */
export const modeTag = (scope: string): Tag => tag(`m/${scope}`);
/** The mode records of all scopes, and of the default. */
export const MODES_TAG: Tag = tag("modes/");
/** The tenant's default for scopes that nobody has chosen a mode for. */
export const DEFAULT_MODE_TAG: Tag = tag("default-mode/");

export const MODE_TAG_PREFIX = "m/";
export const STEP_TAG_PREFIX = "i/";

/** Without a substring: asked for each stream that is made, and each read. */
export function isGuestTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 117 && tag.charCodeAt(1) === 47;
}

export function isObjectTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 111 && tag.charCodeAt(1) === 47;
}

/** The key of the object whose tag it is. */
export function objectKeyOf(object: Tag): string {
  return object.slice(2);
}

export function isStepTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 105 && tag.charCodeAt(1) === 47;
}
