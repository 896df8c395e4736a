/**
 * Counts words given as bytes. Open addressing over pointers to records that never move, so that growing rehashes pointers only and
 * adding a known word allocates nothing.
 *
 * A record: count u64, hash u32, length u32, the word's bytes.
 */
const HASH_OFFSET: usize = 8;
const LENGTH_OFFSET: usize = 12;
const WORD_OFFSET: usize = 16;
const CHUNK_BYTES: usize = 16384;

const FNV_BASIS: u32 = 2166136261;
const FNV_PRIME: u32 = 16777619;

export class WordTable {
  private slots: StaticArray<usize> = new StaticArray<usize>(2048);
  private size: i32 = 0;
  /** Free part of the newest chunk of records. */
  private free: usize = 0;
  private freeEnd: usize = 0;

  /** Counts each word of the text from `start` to `end`, whole words only. @returns where an unfinished last word begins */
  addText(start: usize, end: usize): usize {
    let wordStart = start;
    let hash = FNV_BASIS;
    for (let at = start; at < end; at++) {
      const byte = load<u8>(at);
      if (byte > 0x20) {
        hash = (hash ^ byte) * FNV_PRIME;
      } else {
        if (at != wordStart) this.add(wordStart, <i32>(at - wordStart), hash);
        wordStart = at + 1;
        hash = FNV_BASIS;
      }
    }
    return wordStart;
  }

  /** Counts the word from `start` to `end`, unless it is empty. */
  addWord(start: usize, end: usize): void {
    let hash = FNV_BASIS;
    for (let at = start; at < end; at++) {
      hash = (hash ^ load<u8>(at)) * FNV_PRIME;
    }
    if (start != end) this.add(start, <i32>(end - start), hash);
  }

  /** The words' records in the order of their bytes. */
  sorted(): StaticArray<usize> {
    const records = new StaticArray<usize>(this.size);
    for (let slot = 0, found = 0; found < records.length; slot++) {
      const record = unchecked(this.slots[slot]);
      if (record != 0) unchecked((records[found++] = record));
    }
    return records.sort((a, b) => {
      const order = memory.compare(a + WORD_OFFSET, b + WORD_OFFSET, min(wordLength(a), wordLength(b)));
      return order != 0 ? order : wordLength(a) - wordLength(b);
    });
  }

  private add(word: usize, length: i32, hash: u32): void {
    const mask = this.slots.length - 1;
    let slot = home(hash, mask);
    while (true) {
      const record = unchecked(this.slots[slot]);
      if (record == 0) break;
      if (
        load<u32>(record, HASH_OFFSET) == hash &&
        wordLength(record) == length &&
        memory.compare(record + WORD_OFFSET, word, length) == 0
      ) {
        store<u64>(record, load<u64>(record) + 1);
        return;
      }
      slot = (slot + 1) & mask;
    }
    unchecked((this.slots[slot] = this.createRecord(word, length, hash)));
    this.size += 1;
    if (this.size * 2 > this.slots.length) this.grow();
  }

  private createRecord(word: usize, length: i32, hash: u32): usize {
    const sizeBytes = (WORD_OFFSET + length + 7) & ~7;
    if (this.freeEnd - this.free < sizeBytes) {
      const chunkBytes = max(CHUNK_BYTES, sizeBytes);
      this.free = heap.alloc(chunkBytes);
      this.freeEnd = this.free + chunkBytes;
    }
    const record = this.free;
    this.free += sizeBytes;
    store<u64>(record, 1);
    store<u32>(record, hash, HASH_OFFSET);
    store<u32>(record, length, LENGTH_OFFSET);
    memory.copy(record + WORD_OFFSET, word, length);
    return record;
  }

  private grow(): void {
    const old = this.slots;
    const slots = new StaticArray<usize>(old.length * 2);
    const mask = slots.length - 1;
    for (let i = 0; i < old.length; i++) {
      const record = unchecked(old[i]);
      if (record == 0) continue;
      let slot = home(load<u32>(record, HASH_OFFSET), mask);
      while (unchecked(slots[slot]) != 0) slot = (slot + 1) & mask;
      unchecked((slots[slot] = record));
    }
    this.slots = slots;
  }
}

export function wordCount(record: usize): u64 {
  return load<u64>(record);
}

export function wordLength(record: usize): i32 {
  return load<i32>(record, LENGTH_OFFSET);
}

export function wordStart(record: usize): usize {
  return record + WORD_OFFSET;
}

/** The low bits of FNV alone are poor. */
function home(hash: u32, mask: i32): i32 {
  return <i32>(hash ^ (hash >>> 15)) & mask;
}
