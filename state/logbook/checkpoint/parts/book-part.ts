import type { BookState } from "../../book-state.ts";
import type { VarintReader, VarintWriter } from "../varint.ts";

/** One piece of a LogBook's index. Its number is stored: never reuse one. */
export interface BookPart {
  readonly number: number;
  /** Puts its entries: each under a name and an ordinal, which together are given once. */
  save(book: BookState, put: (name: string, ordinal: number, value: VarintWriter) => void): void;
  load(book: BookState, name: string, ordinal: number, value: VarintReader): void;
  /** After the last entry of all parts. */
  finish?(book: BookState): void;
}

/** Names in one entry of a list that has an order. */
export const LIST_ENTRY_NAMES = 64;
