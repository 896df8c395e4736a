/** The real curl, run as a user pastes it into a shell. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ROOT } from "./host-process.ts";

const POST = "curl -X POST 'http://localhost:8080/f/' -H 'Content-Type: application/json' -d";
const call = (fields: string) => `${POST} '{"async": false, "user": "ndp", ${fields}}'`;

/** The lines that the guides show. The last two answer COUNTS. */
export const LINES = {
  uploads: ["put", "get", "wordcount"].map(
    (name) => `curl -X PUT  http://localhost:8080/f/ndp/${name}       -T functions/ndp/build/${name}.wasm`,
  ),
  put: call('"function": "put", "input_data": "key v1 v2 v3"'),
  get: call('"function": "get", "input_data": "key"'),
  wordcount: call('"function": "wordcount", "input_data": "key"'),
  wordcountHere: call('"function": "wordcount", "input_data": "key", "forbid_ndp": true'),
  /** Any other POST. */
  post: (fields: object) => `${POST} '${JSON.stringify(fields)}'`,
} as const;

export const COUNTS = "v1\t1\nv2\t1\nv3\t1\n";

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface CurlAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Runs one line as it is, in a shell at the project's root; only options that show the head of the answer are added at its end.
 *
 * @param url  takes the place of http://localhost:8080
 * @throws when curl fails or gets no answer
 */
export async function curl(line: string, url: string): Promise<CurlAnswer> {
  const pasted = line.replaceAll("http://localhost:8080", url.replace("127.0.0.1", "localhost"));
  const { stdout } = await promisify(execFile)("sh", ["-c", `${pasted} --no-progress-meter --include`], {
    cwd: ROOT,
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return parse(stdout);
}

/** Interim answers (100 Continue) come first, each with a head of its own. */
function parse(text: string): CurlAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...fields] = text.slice(0, end).split("\r\n");
  const status = Number(first.split(" ")[1]);
  const rest = text.slice(end + 4);
  if (status < 200) {
    return parse(rest);
  }
  const headers = new Map(
    fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
    }),
  );
  return { status, headers, body: rest };
}
