/**
 * The local tier of Faasm's state: copies of state values that belong to the call (H22). The global tier are the objects "state/<key>".
 *
 * L1. A copy is made alike to the object when it is read, and all of it is of one version of the object.
 * L2. What the call changes is merged into the object at `push`, at the unlock of its write lock, before another function is called,
 *     before and behind a storage part, and at the end of the call: only the bytes that it has changed.
 * L3. All copies of a call have at most STATE_MAX_BYTES in the host's memory, and are VALUES_MAX at most.
 */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { quote } from "../../../state/ids.ts";
import { type Guest, GuestFault, type TravellingState } from "../../sandbox/guest.ts";
import { readObject, updateObject, writeBytes } from "../whole-objects.ts";
import { StateValue } from "./state-value.ts";

const STATE_MAX_BYTES = 64 * 1024 * 1024;
/** Also of those that have no bytes: each takes some memory. */
export const VALUES_MAX = 4096;
/** What a value and its key take beside its bytes, about. */
const VALUE_BYTES = 1024;
/** Of one value, when there is no other: its copy, and the object that the copy was made from. */
export const VALUE_MAX_BYTES = STATE_MAX_BYTES / 2;

/** The copies of the guest's call. */
export function localState(guest: Guest): LocalState {
  const { call } = guest;
  if (!(call.state instanceof LocalState)) {
    call.state = call.state instanceof Uint8Array ? LocalState.decode(call.state) : new LocalState();
  }
  return call.state as LocalState;
}

/** Merges all that the call has changed into its objects (L2). */
export async function settleState(guest: Guest): Promise<void> {
  if (guest.call.state !== null) {
    await localState(guest).settle(guest);
  }
}

export class LocalState implements TravellingState {
  readonly #values = new Map<string, StateValue>();

  get heldBytes(): number {
    let bytes = 0;
    for (const value of this.#values.values()) {
      bytes += value.hostBytes + VALUE_BYTES;
    }
    return bytes;
  }

  /** The copy, alike to the object but for what the call has changed. */
  async read(guest: Guest, key: string): Promise<StateValue> {
    const value = this.#value(key);
    value.collect(guest.memory());
    const object = value.isReplaced ? null : await readObject(guest, key, value.version, (bytes) => this.#check(value, bytes));
    if (object !== null) {
      value.refresh(guest.memory(), object.bytes, object.version);
    }
    return value;
  }

  /** The copy as it is, without a look at the object. */
  peek(key: string): StateValue {
    return this.#value(key);
  }

  /** The copy with at least so many bytes. @throws GuestFault */
  async atLeast(guest: Guest, key: string, sizeBytes: number): Promise<StateValue> {
    const value = await this.read(guest, key);
    this.extend(value, sizeBytes);
    return value;
  }

  /** @throws GuestFault  L3 */
  extend(value: StateValue, sizeBytes: number): void {
    this.#check(value, sizeBytes);
    value.extend(sizeBytes);
  }

  /** Makes the copy alike to the object, if there is one. */
  async readKnown(guest: Guest, key: string): Promise<void> {
    if (this.#values.has(key)) {
      await this.read(guest, key);
    }
  }

  /** The whole value is written. @throws GuestFault */
  replace(guest: Guest, key: string, bytes: Uint8Array): void {
    const value = this.#value(key);
    this.#check(value, bytes.byteLength);
    value.replace(guest.memory(), bytes);
  }

  /** The copy becomes what the object is. */
  async pull(guest: Guest, key: string): Promise<void> {
    const value = this.#value(key);
    const object = await readObject(guest, key, -1, (bytes) => this.#check(value, bytes));
    if (object !== null) {
      value.reset(guest.memory(), object.bytes, object.version);
    }
  }

  /** @throws GuestFault when the object would be too large */
  async merge(guest: Guest, key: string, value: StateValue): Promise<void> {
    value.collect(guest.memory());
    if (!value.isDirty) {
      return;
    }
    if (value.isReplaced) {
      await writeBytes(guest, key, value.bytes);
      // Its version is not known: the next read looks.
      value.settled(-1);
      return;
    }
    const object = await updateObject(guest, key, (bytes) => {
      this.#check(value, bytes.byteLength);
      return value.mergedInto(bytes);
    });
    value.settled(-1);
    value.refresh(guest.memory(), object, -1);
  }

  /** Writes the bytes of the value at which `mask` is not 0 into the object. */
  async mergeBy(guest: Guest, key: string, mask: Uint8Array): Promise<void> {
    const value = this.#value(key);
    value.collect(guest.memory());
    value.markBy(mask);
    await this.merge(guest, key, value);
  }

  async settle(guest: Guest): Promise<void> {
    for (const [key, value] of this.#values) {
      await this.merge(guest, key, value);
    }
  }

  /** Copies that are as their objects are need not travel: they are read again. */
  encode(): Uint8Array {
    const w = new ByteWriter(1024);
    for (const [key, value] of this.#values) {
      if (value.isDirty || value.isMapped) {
        value.encode(w.text(key));
      }
    }
    return w.view();
  }

  static decode(bytes: Uint8Array): LocalState {
    const state = new LocalState();
    const r = new ByteReader(bytes);
    while (r.remaining > 0) {
      state.#values.set(r.text(), StateValue.decode(r));
    }
    return state;
  }

  #value(key: string): StateValue {
    let value = this.#values.get(key);
    if (value === undefined) {
      if (this.#values.size === VALUES_MAX) {
        throw new GuestFault(`state value ${quote(key)}: the call has ${VALUES_MAX} others, which is all that it may have`);
      }
      value = new StateValue();
      this.#values.set(key, value);
    }
    return value;
  }

  /** Whether the value may have so many bytes. */
  #check(value: StateValue, sizeBytes: number): void {
    let others = 0;
    for (const one of this.#values.values()) {
      others += one === value ? 0 : one.hostBytes;
    }
    if (others + 2 * sizeBytes > STATE_MAX_BYTES) {
      throw new GuestFault(
        `a state value of ${sizeBytes} bytes beside ${others / 2} others: a call may have ${VALUE_MAX_BYTES} at once`,
      );
    }
  }
}
