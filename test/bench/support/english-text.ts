/** A large English text, the same at every run with the same dependencies on the same system. */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../support/host-process.ts";

/** What the dependencies bring along, then what the system has: read-me files, licences, change logs, manuals. */
const DOCUMENTS = [
  { folder: join(ROOT, "node_modules"), patterns: ["**/*.md", "**/LICENSE*"] },
  { folder: "/usr/share/doc", patterns: ["**/*.{md,txt}", "**/{README,copyright}", "**/*.html"] },
];
/** Pages that hold what other pages hold, and translations. */
const LEFT_OUT = /\/all\.html$|\.(?!en\b)[a-z]{2}(-[A-Z]{2})?\.md$/;
const NEWLINE = Buffer.from("\n");

export interface EnglishText {
  readonly bytes: Uint8Array;
  /** Of its beginning, in which no document stands twice. Behind that it is repeated. */
  readonly distinctBytes: number;
}

/** English with code and addresses in between, so word frequencies fall off as in any text, and the vocabulary is real. */
export function englishText(sizeBytes: number): EnglishText {
  const seen = new Set<string>();
  const pieces: Buffer[] = [];
  let distinctBytes = 0;
  for (const path of documents()) {
    if (distinctBytes >= sizeBytes) {
      break;
    }
    const content = readFileSync(path);
    const hash = createHash("sha256").update(content).digest("hex");
    if (!seen.has(hash) && !content.includes(0)) {
      seen.add(hash);
      pieces.push(content, NEWLINE);
      distinctBytes += content.byteLength + NEWLINE.byteLength;
    }
  }
  return { bytes: Buffer.alloc(sizeBytes, Buffer.concat(pieces)), distinctBytes: Math.min(distinctBytes, sizeBytes) };
}

function* documents(): Iterable<string> {
  for (const { folder, patterns } of DOCUMENTS) {
    for (const pattern of patterns) {
      const entries = globSync(pattern, { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
      yield* entries
        .map(({ parentPath, name }) => join(parentPath, name))
        .filter((path) => !LEFT_OUT.test(path))
        .sort();
    }
  }
}
