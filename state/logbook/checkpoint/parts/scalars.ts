import type { SeqNum } from "../../../ids.ts";
import { DEFAULT_MODE, modeCode, modeFromCode } from "../../modes.ts";
import { VarintWriter } from "../varint.ts";
import type { BookPart } from "./book-part.ts";

const writer = new VarintWriter();

export const scalars: BookPart = {
  number: 1,
  save(book, put) {
    put("", 0, writer.number(book.floor).number(book.garbage).number(modeCode(book.scopes.defaultMode)));
  },
  load(book, _name, _ordinal, value) {
    book.floor = value.number() as SeqNum;
    book.garbage = value.number();
    book.scopes.defaultMode = modeFromCode(value.number()) ?? DEFAULT_MODE;
  },
};
