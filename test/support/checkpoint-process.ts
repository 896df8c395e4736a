/**
 * A process that owns a shard on real files, with checkpoints in LMDB by a thread: `checkpoint-process.ts <folder> <writes>`.
 *
 * Prints "open <journal start> <value of the object that is written once>", then writes objects one after the other, collects, and
 * prints the number of each write once it is durable, and where the journal starts then. After the last write it makes checkpoints of all,
 * closes everything and prints "closed".
 */
import { CHECKPOINTED_BOOK, objectOf, openCheckpointed } from "./checkpointed-shard.ts";

const [folder = "", writes = "0"] = process.argv.slice(2);
const { shard, journal, put, get } = await openCheckpointed(folder);
const last = Number((await get("last")) ?? "0");
process.stdout.write(`open ${journal.start} ${await get("once")}\n`);
if (last === 0) {
  await put("once", "written once");
}
for (let number = last + 1; number <= last + Number(writes); number++) {
  const book = shard.book(CHECKPOINTED_BOOK);
  await put(objectOf(number), String(number));
  await put("last", String(number));
  await shard.whenDurable(await book.tail());
  process.stdout.write(`${number} ${journal.start}\n`);
  if (number % 20 === 0) {
    await shard.collect();
  }
}
// One that is being made may hold less than all; the last but one says what is released.
for (let count = 0; count < 3; count++) {
  await shard.checkpoint();
}
await shard.close();
process.stdout.write("closed\n");
