import { objects, output, storage } from "../../../guest-sdk/assembly";
import { readArguments } from "./shared/arguments";
import { TextBuffer } from "./shared/text-buffer";

const SPACE: u8 = 0x20;

const slice = new Uint8Array(256 * 1024);
const positions: u64[] = [];
let key = "";
let pattern = new Uint8Array(0);

export function main(): i32 {
  const given = readArguments();
  const rest = given.rest;
  if (rest === null || rest.length == 0) {
    output("usage: <key> <text to find>");
    return 2;
  }
  key = given.key;
  pattern = rest;
  if (storage.run(key, findPattern) != 0) {
    output("there is no object '" + key + "'");
    return 1;
  }
  const text = new TextBuffer();
  for (let i = 0; i < positions.length; i++) {
    if (i > 0) text.appendByte(SPACE);
    text.appendNumber(unchecked(positions[i]));
  }
  text.flush();
  return 0;
}

/** The storage part (Knuth, Morris, Pratt): one look at each byte, and matches across slices need no care. */
function findPattern(): i32 {
  const fallback = fallbacks(pattern);
  let matched = 0;
  let offset: i64 = 0;
  while (true) {
    const read = objects.read(key, offset, slice);
    if (read < 0) return 1;
    if (read == 0) break;
    for (let i = 0; i < read; i++) {
      const byte = unchecked(slice[i]);
      while (matched > 0 && unchecked(pattern[matched]) != byte) matched = unchecked(fallback[matched - 1]);
      if (unchecked(pattern[matched]) == byte) matched += 1;
      if (matched == pattern.length) {
        positions.push(offset + i + 1 - matched);
        matched = 0; // matches do not overlap
      }
    }
    offset += read;
  }
  slice.fill(0); // unchanged memory does not travel
  return 0;
}

/** For each prefix of `text`: length of its longest proper prefix that is also its end. */
function fallbacks(text: Uint8Array): StaticArray<i32> {
  const lengths = new StaticArray<i32>(text.length);
  let length = 0;
  for (let i = 1; i < text.length; i++) {
    while (length > 0 && text[i] != text[length]) length = lengths[length - 1];
    if (text[i] == text[length]) length += 1;
    lengths[i] = length;
  }
  return lengths;
}
