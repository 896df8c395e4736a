/**
 * Memory of ranks that others reach between two fences.
 *
 * Nothing is carried out before the fence: there every rank tells every other one how much it asks of it, and sends that, or gets it. The
 * standard leaves open what is there before, and what comes of two accesses to the same bytes.
 */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { evenParts, part } from "./collective.ts";
import type { Communicator } from "./communicators.ts";
import type { PairKind, ValueKind } from "./datatypes.ts";
import { type Messages, type Span, spanOf, type Transfer } from "./messages.ts";
import { combineOf, REPLACE } from "./operators.ts";

export const AccessKind = { put: 1, get: 2, accumulate: 3 } as const;
type AccessKind = (typeof AccessKind)[keyof typeof AccessKind];

/** A guest cannot have more between two fences. */
export const ACCESSES_MAX = 65_536;
/** A guest cannot have more at once. */
export const WINDOWS_MAX = 256;
/** Two ranks may ask each other at the same time. */
const Tag = { asked: 0, answered: 1 } as const;
const COUNT_BYTES = 4;
const ACCESS_BYTES = 20;
const ACCUMULATE_PIECE_BYTES = 256 * 1024;
const KINDS: readonly (ValueKind | PairKind)[] = [
  ...(["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"] as const),
  ...(["2i32", "f32i32", "f64i32"] as const),
];

export interface Access {
  readonly kind: AccessKind;
  /** At the rank that asks. */
  readonly origin: Span;
  /** Where it begins in the window, bytes. */
  readonly offset: number;
  /** Of accumulate. */
  readonly operator: number;
  readonly values: ValueKind | PairKind;
}

export interface Window {
  /** With messages of its own. */
  readonly communicator: Communicator;
  readonly span: Span;
  /** Bytes and displacement unit of each rank's. */
  readonly shapes: readonly { readonly sizeBytes: number; readonly unitBytes: number }[];
  /** By rank of the communicator. */
  readonly asked: Access[][];
}

/** An access as its target is told of it. */
interface Told extends Omit<Access, "origin"> {
  readonly sizeBytes: number;
}

export class Windows {
  readonly #messages: Messages;
  readonly #known = new Map<number, Window>();
  #lastNumber = 0;

  constructor(messages: Messages) {
    this.#messages = messages;
  }

  get isFull(): boolean {
    return this.#known.size >= WINDOWS_MAX;
  }

  get(number: number): Window | undefined {
    return this.#known.get(number);
  }

  free(number: number): void {
    this.#known.delete(number);
  }

  /** All ranks of the communicator, which is the window's from now on. @returns the window's number */
  async create(communicator: Communicator, span: Span, unitBytes: number): Promise<number> {
    const { group, rank, collective } = communicator;
    const all = new Float64Array(2 * group.length);
    all.set([span.sizeBytes, unitBytes], 2 * rank);
    await collective.allgather(evenParts(spanOf(new Uint8Array(all.buffer)), group.length));
    const shapes = group.map((_, at) => ({ sizeBytes: all[2 * at] ?? 0, unitBytes: all[2 * at + 1] ?? 0 }));
    this.#lastNumber += 1;
    this.#known.set(this.#lastNumber, { communicator, span, shapes, asked: group.map(() => []) });
    return this.#lastNumber;
  }

  /** All ranks of the window: what they have asked for is done afterwards, everywhere. */
  async fence(window: Window): Promise<void> {
    const { communicator, asked } = window;
    const size = communicator.group.length;
    for (let step = 0; step < size; step += 1) {
      const to = (communicator.rank + step) % size;
      const from = (communicator.rank - step + size) % size;
      const begun = await this.#ask(window, to, asked[to]?.splice(0) ?? []);
      begun.push(...(await this.#serve(window, from)));
      await this.#messages.wait(begun);
    }
    // Nobody reads what others have not written yet.
    await communicator.collective.barrier();
  }

  async #ask({ communicator }: Window, to: number, accesses: readonly Access[]): Promise<Transfer[]> {
    const head = new ByteWriter(COUNT_BYTES).u32(accesses.length);
    const begun: Transfer[] = [await this.#send(communicator, to, spanOf(head.take()))];
    if (accesses.length === 0) {
      return begun;
    }
    const list = new ByteWriter(accesses.length * ACCESS_BYTES);
    for (const { kind, origin, offset, operator, values } of accesses) {
      list.u8(kind).u8(operator).u16(KINDS.indexOf(values)).f64(offset).f64(origin.sizeBytes);
    }
    begun.push(await this.#send(communicator, to, spanOf(list.take())));
    for (const { kind, origin } of accesses) {
      begun.push(
        await (kind === AccessKind.get
          ? this.#receive(communicator, to, origin, Tag.answered)
          : this.#send(communicator, to, origin)),
      );
    }
    return begun;
  }

  /** @returns what is still on its way to the rank that has asked */
  async #serve(window: Window, from: number): Promise<Transfer[]> {
    const { communicator, span } = window;
    const count = new ByteReader(await this.#received(communicator, from, COUNT_BYTES)).u32();
    const list = count === 0 ? NOTHING : await this.#received(communicator, from, count * ACCESS_BYTES);
    const told = decodeAccesses(list);
    const begun: Transfer[] = [];
    for (const access of told) {
      const target = part(span, access.offset, access.sizeBytes);
      if (access.offset + access.sizeBytes > span.sizeBytes) {
        throw this.#messages.fault(`rank ${from} of the window reaches beyond it`);
      }
      if (access.kind === AccessKind.get) {
        begun.push(await this.#send(communicator, from, target, Tag.answered));
      } else if (access.kind === AccessKind.put) {
        await this.#messages.wait([await this.#receive(communicator, from, target)]);
      } else {
        await this.#accumulate(communicator, from, target, access);
      }
    }
    return begun;
  }

  async #accumulate(communicator: Communicator, from: number, target: Span, { operator, values }: Told): Promise<void> {
    const combine = operator === REPLACE ? null : combineOf(operator, values);
    const bytes = await this.#received(communicator, from, target.sizeBytes);
    if (combine === null) {
      target.view(0, target.sizeBytes).set(bytes);
      return;
    }
    const own = new Uint8Array(target.view(0, target.sizeBytes));
    combine(own, bytes);
    target.view(0, target.sizeBytes).set(bytes);
  }

  async #received(communicator: Communicator, from: number, sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes);
    await this.#messages.wait([await this.#receive(communicator, from, spanOf(bytes))]);
    return bytes;
  }

  #send({ context, group }: Communicator, to: number, span: Span, tag: number = Tag.asked) {
    return this.#messages.send(span, group[to] ?? 0, context, tag);
  }

  #receive({ context, group }: Communicator, from: number, span: Span, tag: number = Tag.asked) {
    return this.#messages.receive(span, group[from] ?? 0, context, tag);
  }
}

const NOTHING = new Uint8Array(0);

/** Accesses that are asked for as one, each with bytes of its own: what is combined there does not come as a whole. */
export function piecesOf(access: Access): Access[] {
  const { kind, origin, offset } = access;
  if (kind !== AccessKind.accumulate || origin.sizeBytes <= ACCUMULATE_PIECE_BYTES) {
    return [access];
  }
  const pieces: Access[] = [];
  for (let at = 0; at < origin.sizeBytes; at += ACCUMULATE_PIECE_BYTES) {
    const sizeBytes = Math.min(ACCUMULATE_PIECE_BYTES, origin.sizeBytes - at);
    pieces.push({ ...access, origin: part(origin, at, sizeBytes), offset: offset + at });
  }
  return pieces;
}

function decodeAccesses(bytes: Uint8Array): Told[] {
  const r = new ByteReader(bytes);
  const told: Told[] = [];
  while (r.remaining >= ACCESS_BYTES) {
    const [kind, operator, values, offset, sizeBytes] = [r.u8(), r.u8(), r.u16(), r.f64(), r.f64()];
    told.push({ kind: kind as AccessKind, operator, values: KINDS[values] ?? "u8", offset, sizeBytes });
  }
  return told;
}
