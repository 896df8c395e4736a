/** What a function can do with objects, in whatever mode its effects are made exactly-once. */
import type { SeqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import type { Place } from "../logbook/placement.ts";
import type { ObjectValue } from "../objects/object-record.ts";

/** `version` is the seqnum that `update` takes; of an absent object 0, whether it was deleted or never there. */
export type ObjectRead = ObjectSlice | { readonly kind: "absent"; readonly version: SeqNum; readonly timeMs: number };

export interface ObjectSlice {
  readonly kind: "found";
  /** Size of the whole object. */
  readonly sizeBytes: number;
  readonly version: SeqNum;
  readonly bytes: Uint8Array;
  /** Time of the version's record, in ms. */
  readonly timeMs: number;
}

/** Objects some of which are kept as versions, which can be read at any cursor, and some in cells. */
export interface PlacedObjects extends ObjectProtocol {
  /** Where the instance looks for the object and writes it. */
  placeOf(key: string): Promise<Place>;
  /** Where the instance looks for what a list shows; "both" when that is not the same for all of it. */
  placeOfList(prefix: string): Promise<Place>;
}

/** The answer of an update. */
export type UpdateOutcome =
  | { readonly kind: "applied"; readonly timeMs: number }
  /** Somebody else changed the object; the cursor has moved, read again. */
  | { readonly kind: "conflict"; readonly timeMs: number };

/**
 * Objects as one attempt of one instance sees them. All methods throw Fenced when the attempt may not go on, and reject with
 * EPOCH_CHANGED or OWNER_UNAVAILABLE when the owner is gone.
 */
export interface ObjectProtocol {
  /** Up to `maxBytes` bytes from `offset` of the version at the cursor. */
  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead>;
  /** Like `read` from 0, after waiting for this attempt's turn at the object, as fresh as the attempt's past allows. */
  readForUpdate(key: string, maxBytes: number): Promise<ObjectRead>;
  /** `valueCrc`: CRC-32 of the value, for the fingerprint. */
  write(key: string, value: ObjectValue, valueCrc: number): Promise<void>;
  /** Writes only if `version` is still the newest one, or the object is still absent when it is 0 (F14). */
  update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome>;
  delete(key: string): Promise<void>;
  /** Objects that exist at the cursor, in key order. */
  list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]>;
  /** Gives back what the attempt holds (turns). */
  close(): void;
}

/** The objects of the scopes that are in one mode. Turns at them were taken before. */
export interface ScopeProtocol extends Omit<ObjectProtocol, "readForUpdate" | "close"> {
  readonly place: Place;
}
