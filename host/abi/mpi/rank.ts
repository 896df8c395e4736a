/** A call as a rank of its world: what its numbers stand for, and the checks of what the guest gives. */
import type { Guest, GuestCall } from "../../sandbox/guest.ts";
import { GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { COMM_NULL, type Communicator, Communicators } from "./communicators.ts";
import { type Datatype, Datatypes } from "./datatypes.ts";
import { ANY, Messages, NO_BYTES, type Span, type Transfer } from "./messages.ts";
import { Operators } from "./own-operators.ts";
import { Windows } from "./windows.ts";

export const SUCCESS = 0;
export const NULL = 0;
export const PROC_NULL = -2;
export const UNDEFINED = -32_766;
export const IN_PLACE = -1;
const REQUESTS_MAX = 65_536;
export const STATUS_BYTES = 16;

/** What a receive has got; ranks are those of its communicator. */
export interface Status {
  readonly source: number;
  readonly tag: number;
  readonly sizeBytes: number;
}

export const NO_MESSAGE: Status = { source: ANY, tag: ANY, sizeBytes: 0 };
export const FROM_NOBODY: Status = { source: PROC_NULL, tag: ANY, sizeBytes: 0 };

/** What the guest has begun and will wait for. */
export interface Pending {
  readonly transfer: Transfer;
  readonly status: () => Status;
}

export class Rank {
  readonly guest: Guest;
  readonly messages: Messages;
  readonly communicators: Communicators;
  readonly datatypes = new Datatypes();
  readonly operators: Operators;
  readonly windows: Windows;
  isFinalized = false;
  readonly #requests = new Map<number, Pending>();
  #lastRequest = 0;

  constructor(guest: Guest, rank: number, size: number) {
    this.guest = guest;
    this.messages = new Messages(guest, rank, size);
    this.communicators = new Communicators(this.messages);
    this.operators = new Operators(guest, this.messages);
    this.windows = new Windows(this.messages);
  }

  fault(text: string): GuestFault {
    return this.messages.fault(text);
  }

  // what the guest gives

  communicator(number: number): Communicator {
    const found = this.communicators.get(number);
    if (found === undefined) {
      throw this.fault(number === COMM_NULL ? "the communicator is MPI_COMM_NULL" : `there is no communicator ${number}`);
    }
    return found;
  }

  /** @param what  of the argument */
  peer({ group }: Communicator, what: string, rank: number): number {
    const found = group[rank];
    if (found === undefined) {
      throw this.fault(`${what} is ${rank}, must be a rank of the communicator, 0 to ${group.length - 1}`);
    }
    return found;
  }

  datatype(number: number): Datatype {
    const found = this.datatypes.get(number);
    if (found === undefined) {
      throw this.fault(`there is no datatype ${number}`);
    }
    return found;
  }

  tag(tag: number): number {
    if (tag < 0) {
      throw this.fault(`the tag is ${tag}, must be 0 or more`);
    }
    return tag;
  }

  count(what: string, count: number): number {
    if (count < 0) {
      throw this.fault(`${what} is ${count}, must be 0 or more`);
    }
    return count;
  }

  /** Elements from `offset`, in elements, behind the pointer. */
  span(what: string, pointer: number, count: number, { extentBytes }: Datatype, offset = 0): Span {
    const sizeBytes = this.count(`the count of ${what}`, count) * extentBytes;
    if (sizeBytes === 0) {
      return NO_BYTES;
    }
    const from = (pointer >>> 0) + offset * extentBytes;
    const { byteLength } = this.guest.memory();
    if (from < 0 || from + sizeBytes > byteLength) {
      throw this.fault(`${what} at ${from} + ${sizeBytes} is outside the memory of ${byteLength} bytes`);
    }
    return { sizeBytes, view: (at, length) => guestBytes(this.guest, what, from + at, length) };
  }

  /** i32s of the guest's, now. */
  ints(what: string, pointer: number, count: number): number[] {
    const bytes = this.#ints(what, pointer, count);
    return Array.from({ length: count }, (_, at) => bytes.getInt32(4 * at, true));
  }

  /** Room for i32s, checked before anything is done; to be filled before the guest runs again. */
  room(what: string, pointer: number, count = 1): (...values: readonly number[]) => void {
    this.#ints(what, pointer, count);
    return (...values) => {
      const bytes = this.#ints(what, pointer, count);
      for (const [at, value] of values.slice(0, count).entries()) {
        bytes.setInt32(4 * at, value, true);
      }
    };
  }

  /** Room for a status, which the guest may refuse. */
  statusRoom(pointer: number): (status: Status) => void {
    if (pointer === NULL) {
      return () => {};
    }
    const store = this.room("the status", pointer, STATUS_BYTES / 4);
    return ({ source, tag, sizeBytes }) => store(source, tag, SUCCESS, sizeBytes);
  }

  // requests

  /** @returns the number by which the guest knows it */
  begun(pending: Pending): number {
    if (this.#requests.size >= REQUESTS_MAX) {
      throw this.fault(`${this.#requests.size} requests have begun that nobody has waited for, at most ${REQUESTS_MAX} may`);
    }
    this.#lastRequest = (this.#lastRequest % 0x7fffffff) + 1;
    this.#requests.set(this.#lastRequest, pending);
    return this.#lastRequest;
  }

  /** How many the guest waits for. */
  requestCount(count: number): number {
    if (this.count("the count", count) > REQUESTS_MAX) {
      throw this.fault(`the count is ${count}, at most ${REQUESTS_MAX} requests can be waited for`);
    }
    return count;
  }

  /** Null for MPI_REQUEST_NULL. */
  request(number: number): Pending | null {
    const found = this.#requests.get(number);
    if (found === undefined && number !== NULL) {
      throw this.fault(`there is no request ${number}`);
    }
    return found ?? null;
  }

  /** The guest knows it no more. */
  ended(number: number): void {
    this.#requests.delete(number);
  }

  #ints(what: string, pointer: number, count: number): DataView {
    const sizeBytes = 4 * count;
    const { byteLength } = this.guest.memory();
    if ((pointer >>> 0) + sizeBytes > byteLength) {
      throw this.fault(`${what} at ${pointer >>> 0} + ${sizeBytes} is outside the memory of ${byteLength} bytes`);
    }
    const bytes = guestBytes(this.guest, what, pointer, sizeBytes);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** The ranks that calls in this sandbox are. */
export class Ranks {
  readonly #guest: Guest;
  readonly #ranks = new WeakMap<GuestCall, Rank>();

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  /** Null before MPI_Init. */
  get current(): Rank | null {
    return this.#ranks.get(this.#guest.call) ?? null;
  }

  begin(rank: number, size: number): void {
    this.#ranks.set(this.#guest.call, new Rank(this.#guest, rank, size));
  }

  /** For a call of MPI that is about to begin. @throws GuestFault  it may not, here or now */
  at(call: string): Rank {
    this.checkPlace(call);
    const { current } = this;
    if (current === null || current.isFinalized) {
      throw new GuestFault(`${call}: ${current === null ? "MPI_Init has not been called" : "MPI_Finalize has been called"}`);
    }
    current.messages.call = call;
    return current;
  }

  checkPlace(call: string): void {
    if (this.#guest.call.inPart) {
      throw new GuestFault(`${call}: not possible inside a storage part`);
    }
  }
}
