/**
 * Collective calls of the ranks of one communicator, made of messages between two of them. All ranks make the same calls in the same order;
 * the messages of each carry its number.
 */
import { type Messages, NO_BYTES, type Span, spanOf } from "./messages.ts";
import type { Combine } from "./operators.ts";

/** Values are put together in pieces of about this size. */
const PIECE_BYTES = 256 * 1024;
const TAG_MAX = 2 ** 31;

/** How values are put together, in pieces of whole elements. */
export interface Reduction {
  readonly extentBytes: number;
  readonly combine: Combine;
  /** At most so many bytes at once. */
  readonly pieceMaxBytes?: number;
}

export function part(span: Span, offset: number, sizeBytes: number): Span {
  return { sizeBytes, view: (at, length) => span.view(offset + at, length) };
}

/** `count` parts of one size, one behind the other. */
export function evenParts(span: Span, count: number): Span[] {
  const sizeBytes = span.sizeBytes / count;
  return Array.from({ length: count }, (_, at) => part(span, at * sizeBytes, sizeBytes));
}

export class Collective {
  readonly #messages: Messages;
  readonly #context: number;
  readonly #group: readonly number[];
  readonly #rank: number;
  #calls = 0;

  constructor(messages: Messages, context: number, group: readonly number[], rank: number) {
    this.#messages = messages;
    this.#context = context;
    this.#group = group;
    this.#rank = rank;
  }

  /** In as many rounds as the number of ranks has binary digits, each rank tells one that it is here, and hears it of another one. */
  async barrier(): Promise<void> {
    this.#begin();
    const size = this.#group.length;
    for (let distance = 1; distance < size; distance *= 2) {
      const to = (this.#rank + distance) % size;
      const from = (this.#rank - distance + size) % size;
      await this.#exchange(NO_BYTES, to, NO_BYTES, from);
    }
  }

  /** Down a binomial tree. */
  async broadcast(span: Span, root: number): Promise<void> {
    this.#begin();
    const size = this.#group.length;
    const own = (this.#rank - root + size) % size;
    const inWorld = (relative: number) => (relative + root) % size;
    let distance = 1;
    for (; distance < size; distance *= 2) {
      if ((own & distance) !== 0) {
        await this.#receive(span, inWorld(own - distance));
        break;
      }
    }
    for (distance /= 2; distance >= 1; distance /= 2) {
      if (own + distance < size) {
        await this.#send(span, inWorld(own + distance));
      }
    }
  }

  /** @param blocks  at the root: one for each rank. Its own stays where it is */
  async scatter(blocks: readonly Span[], own: Span, root: number): Promise<void> {
    this.#begin();
    if (this.#rank !== root) {
      await this.#receive(own, root);
      return;
    }
    for (const [to, block] of blocks.entries()) {
      if (to !== root) {
        await this.#send(block, to);
      }
    }
  }

  /** As `scatter`, the other way round. */
  async gather(blocks: readonly Span[], own: Span, root: number): Promise<void> {
    this.#begin();
    if (this.#rank !== root) {
      await this.#send(own, root);
      return;
    }
    for (const [from, block] of blocks.entries()) {
      if (from !== root) {
        await this.#receive(block, from);
      }
    }
  }

  /** Each rank has its own block in its place, and gets those of the others around a ring. */
  async allgather(blocks: readonly Span[]): Promise<void> {
    this.#begin();
    const size = this.#group.length;
    const to = (this.#rank + 1) % size;
    const from = (this.#rank - 1 + size) % size;
    for (let step = 0; step < size - 1; step += 1) {
      const sent = blocks[(this.#rank - step + size) % size] ?? NO_BYTES;
      const received = blocks[(this.#rank - step - 1 + size) % size] ?? NO_BYTES;
      await this.#exchange(sent, to, received, from);
    }
  }

  /** The own block stays where it is. */
  async alltoall(sent: readonly Span[], received: readonly Span[]): Promise<void> {
    this.#begin();
    const size = this.#group.length;
    for (let step = 1; step < size; step += 1) {
      const to = (this.#rank + step) % size;
      const from = (this.#rank - step + size) % size;
      await this.#exchange(sent[to] ?? NO_BYTES, to, received[from] ?? NO_BYTES, from);
    }
  }

  /** Up a binomial tree to rank 0, so that the order is that of the ranks, and from there to the root. `result` counts at the root only. */
  async reduce(values: Span, result: Span, reduction: Reduction, root: number): Promise<void> {
    this.#begin();
    for (const [offset, length] of pieces(values.sizeBytes, reduction)) {
      const piece = new Uint8Array(values.view(offset, length));
      const isWhole = await this.#reducePiece(piece, reduction.combine);
      if (isWhole && root !== 0) {
        await this.#send(spanOf(piece), root);
      } else if (isWhole) {
        result.view(offset, length).set(piece);
      } else if (this.#rank === root) {
        await this.#receive(part(result, offset, length), 0);
      }
    }
  }

  /** Each rank adds its values to those that come from the one before it. */
  async scan(values: Span, result: Span, reduction: Reduction): Promise<void> {
    this.#begin();
    const isLast = this.#rank === this.#group.length - 1;
    for (const [offset, length] of pieces(values.sizeBytes, reduction)) {
      const piece = new Uint8Array(values.view(offset, length));
      if (this.#rank > 0) {
        const before = new Uint8Array(length);
        await this.#receive(spanOf(before), this.#rank - 1);
        reduction.combine(before, piece);
      }
      if (!isLast) {
        await this.#send(spanOf(piece), this.#rank + 1);
      }
      result.view(offset, length).set(piece);
    }
  }

  /** @returns whether `piece` is now that of all ranks */
  async #reducePiece(piece: Uint8Array, combine: Combine): Promise<boolean> {
    const size = this.#group.length;
    for (let distance = 1; distance < size; distance *= 2) {
      if ((this.#rank & distance) !== 0) {
        await this.#send(spanOf(piece), this.#rank - distance);
        return false;
      }
      if (this.#rank + distance < size) {
        const higher = new Uint8Array(piece.byteLength);
        await this.#receive(spanOf(higher), this.#rank + distance);
        combine(piece, higher);
        piece.set(higher);
      }
    }
    return true;
  }

  #begin(): void {
    this.#calls = (this.#calls + 1) % TAG_MAX;
  }

  async #send(span: Span, to: number): Promise<void> {
    await this.#messages.wait([await this.#messages.send(span, this.#inWorld(to), this.#context, this.#calls)]);
  }

  async #receive(span: Span, from: number): Promise<void> {
    const receive = await this.#messages.receive(span, this.#inWorld(from), this.#context, this.#calls);
    await this.#messages.wait([receive]);
    if (receive.sizeBytes !== span.sizeBytes) {
      const text = `rank ${from} of the communicator has sent ${receive.sizeBytes} bytes, ${span.sizeBytes} are wanted here`;
      throw this.#messages.fault(text);
    }
  }

  async #exchange(sent: Span, to: number, received: Span, from: number): Promise<void> {
    const send = await this.#messages.send(sent, this.#inWorld(to), this.#context, this.#calls);
    await this.#receive(received, from);
    await this.#messages.wait([send]);
  }

  #inWorld(rank: number): number {
    return this.#group[rank] ?? 0;
  }
}

function* pieces(sizeBytes: number, { extentBytes, pieceMaxBytes = PIECE_BYTES }: Reduction): Generator<[number, number]> {
  const pieceBytes = Math.max(1, Math.floor(pieceMaxBytes / Math.max(1, extentBytes))) * Math.max(1, extentBytes);
  for (let offset = 0; offset < sizeBytes; offset += pieceBytes) {
    yield [offset, Math.min(pieceBytes, sizeBytes - offset)];
  }
}
