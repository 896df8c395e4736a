import { objects, output, storage } from "../../../guest-sdk/assembly";
import { readArguments } from "./shared/arguments";
import { TextBuffer } from "./shared/text-buffer";
import { wordCount, wordLength, WordTable, wordStart } from "./shared/word-table";

const NEWLINE: u8 = 0x0a;
const TAB: u8 = 0x09;

// Globals are made once, when the module is uploaded. They also are how a storage part gets its input and leaves its result.
const words = new WordTable();
const text = new TextBuffer();
let slice = new Uint8Array(256 * 1024);
let key = "";

export function main(): i32 {
  key = readArguments().key;
  if (storage.run(key, countWords) != 0) {
    output("there is no object '" + key + "'");
    return 1;
  }
  const records = words.sorted();
  for (let i = 0; i < records.length; i++) {
    const record = unchecked(records[i]);
    text.append(wordStart(record), wordLength(record));
    text.appendByte(TAB);
    text.appendNumber(wordCount(record));
    text.appendByte(NEWLINE);
  }
  text.flush();
  return 0;
}

/** The storage part: only the table of words travels back, not the object. */
function countWords(): i32 {
  let offset: i64 = 0;
  /** Bytes of an unfinished word at the start of the slice. */
  let kept: i32 = 0;
  while (true) {
    const read = objects.read(key, offset, slice.subarray(kept));
    if (read < 0) return 1;
    offset += read;
    const start = slice.dataStart;
    const end = start + kept + read;
    if (read == 0) {
      words.addWord(start, end);
      break;
    }
    const unfinished = words.addText(start, end);
    kept = <i32>(end - unfinished);
    if (kept == slice.length) {
      const larger = new Uint8Array(slice.length * 2);
      larger.set(slice);
      slice = larger;
    } else {
      memory.copy(start, unfinished, kept);
    }
  }
  slice.fill(0); // unchanged memory does not travel
  return 0;
}
