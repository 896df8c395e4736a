/** The namespaces of tags. Two kinds of streams can never meet, as the namespace is the part before the first "/". */
import { type InstanceId, type Tag, tag } from "./ids.ts";

/** The step stream of an instance. */
export const stepTag = (instance: InstanceId): Tag => tag(`i/${instance}`);
/** ATTEMPT, PARKED and RESUMED records of an instance: outside its step stream. */
export const attemptTag = (instance: InstanceId): Tag => tag(`a/${instance}`);
/** All versions of an object. */
export const objectTag = (key: string): Tag => tag(`o/${key}`);
/** The (function, Idempotency-Key) → instance mapping (F20, F30). */
export const keyTag = (functionName: string, key: string): Tag => tag(`k/${functionName}/${key}`);
/** The call id of the Faasm-compatible API → instance mapping. */
export const callIdTag = (id: number): Tag => tag(`c/${id}`);
/** The registry entries of a function. */
export const functionTag = (name: string): Tag => tag(`f/${name}`);

/** A stream that a guest names: of the tenant's LogBook, and of no stream of the host's (F36). */
export const guestTag = (name: string): Tag => tag(`u/${name}`);

export const OBJECT_TAG_PREFIX = "o/";
export const STEP_TAG_PREFIX = "i/";
export const GUEST_TAG_PREFIX = "u/";

/** Without a substring: asked for each stream that is made, and each read. */
export function isGuestTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 117 && tag.charCodeAt(1) === 47;
}

export function isStepTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 105 && tag.charCodeAt(1) === 47;
}
