/**
 * Pages that the host has added to a guest's memory for it: whole ones, at its end, or where such pages were given back before.
 *
 * What was taken is zero. The guest's own allocator sees a memory that somebody else has grown.
 */
import type { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";

/** How long what was taken stays: until it is given back, until the storage part ends that took it, or until the call ends. */
const KEEPS = ["plain", "part", "call"] as const;
export type Keep = (typeof KEEPS)[number];

/** In pages. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly keep: Keep;
}

export class Mappings {
  #taken: readonly Span[] = [];
  #free: readonly Span[] = [];

  /**
   * @param grow  makes the memory longer by so many pages and says where they begin, in pages; -1: there is no room
   * @returns where they begin, in bytes; null: there is no room
   */
  take(sizeBytes: number, keep: Keep, grow: (pages: number) => number): number | null {
    const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
    const found = this.#free.find(({ start, end }) => end - start >= pages);
    const start = found?.start ?? grow(pages);
    if (start < 0) {
      return null;
    }
    const span = { start, end: start + pages, keep };
    this.#free = this.#free.flatMap((one) => without(one, span));
    this.#taken = [...this.#taken, span];
    return start * WASM_PAGE_BYTES;
  }

  /** Makes zeros of the whole pages of the range that were taken, but not for the whole call; nothing happens to others. */
  giveBack(memory: Uint8Array, pointer: number, sizeBytes: number): void {
    const range = {
      start: Math.ceil(pointer / WASM_PAGE_BYTES),
      end: Math.ceil((pointer + sizeBytes) / WASM_PAGE_BYTES),
    };
    const given = this.#taken.flatMap(({ start, end, keep }) => {
      const span: Span = { start: Math.max(start, range.start), end: Math.min(end, range.end), keep };
      return span.start < span.end && keep !== "call" ? [span] : [];
    });
    this.#taken = this.#taken.flatMap((one) => (one.keep === "call" ? [one] : without(one, range)));
    this.#release(memory, given);
  }

  /** Objects that the part has mapped are not shipped back, wherever it ran (H19). */
  endPart(memory: Uint8Array): void {
    const ofPart = this.#taken.filter(({ keep }) => keep === "part");
    this.#taken = this.#taken.filter(({ keep }) => keep !== "part");
    this.#release(memory, ofPart);
  }

  encode(writer: ByteWriter): ByteWriter {
    for (const spans of [this.#taken, this.#free]) {
      writer.u32(spans.length);
      for (const { start, end, keep } of spans) {
        writer.u32(start).u32(end).u8(KEEPS.indexOf(keep));
      }
    }
    return writer;
  }

  /** @throws RangeError when the bytes end too early */
  static decode(reader: ByteReader): Mappings {
    const spans = () =>
      Array.from({ length: reader.u32() }, () => ({
        start: reader.u32(),
        end: reader.u32(),
        keep: KEEPS[reader.u8()] ?? "plain",
      }));
    const mappings = new Mappings();
    mappings.#taken = spans();
    mappings.#free = spans();
    return mappings;
  }

  #release(memory: Uint8Array, spans: readonly Span[]): void {
    for (const { start, end } of spans) {
      memory.fill(0, start * WASM_PAGE_BYTES, end * WASM_PAGE_BYTES);
    }
    const free: Span[] = [];
    for (const span of [...this.#free, ...spans].sort((left, right) => left.start - right.start)) {
      const last = free.at(-1);
      if (last !== undefined && last.end === span.start) {
        free[free.length - 1] = { ...last, end: span.end };
      } else {
        free.push({ ...span, keep: "plain" });
      }
    }
    this.#free = free;
  }
}

/** What is left of the span outside of the range. */
function without(span: Span, range: Pick<Span, "start" | "end">): Span[] {
  return [
    { ...span, end: Math.min(span.end, range.start) },
    { ...span, start: Math.max(span.start, range.end) },
  ].filter(({ start, end }) => start < end);
}
