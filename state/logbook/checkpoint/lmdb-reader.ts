/** A process that reads all of a checkpoint, and exits with 0 when it is what was saved. LMDB may kill it. */
import { readAll } from "./lmdb-store.ts";

await readAll(process.argv[2] ?? "");
