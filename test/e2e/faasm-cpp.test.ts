/** C++ modules built as for Faasm answer the same on one process and on several, with and without push-down: what is computed here. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { findClang } from "../../functions/clang.ts";
import { HostCluster } from "../support/host-cluster.ts";
import {
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { writeObject } from "../support/host-requests.ts";
import { prng } from "../support/prng.ts";

const USER = "ndp";
const random = prng(17);
const LETTERS = ["a", "b", "an", "e", "é", " ", " ", "\n"];
const TEXT = Array.from({ length: 60_000 }, () => LETTERS[random.below(LETTERS.length)]).join("");
const BYTES = Buffer.from(TEXT).toString("latin1");
const DOCUMENT = {
  b: [1, 2.5, { deep: [[], {}, null, true] }],
  a: 'text \\ " é',
  list: Array.from({ length: 3000 }, (_, i) => ({ i, s: `${i}` })),
};
const [WIDTH, HEIGHT] = [403, 242];
const PICTURE = Buffer.from(Array.from({ length: WIDTH * HEIGHT * 3 }, () => random.below(256)));
const N = 40;
const MATRIX = Float64Array.from({ length: N * N }, () => random.below(7));
const GROWN_MIB = 24;

interface Sample {
  readonly name: string;
  readonly input: string;
  readonly body: string | Buffer;
}

const OBJECTS: Readonly<Record<string, string | Buffer>> = {
  text: TEXT,
  numbers: "17 25\n1000000000",
  json: JSON.stringify(DOCUMENT, null, 2),
  picture: Buffer.concat([Buffer.from(`P6\n${WIDTH} ${HEIGHT}\n255\n`), PICTURE]),
  matrix: Buffer.concat([Buffer.from(Uint32Array.of(N).buffer), Buffer.from(MATRIX.buffer)]),
};

const SAMPLES: readonly Sample[] = [
  { name: "wordcount", input: "text", body: countedWords() },
  { name: "grep", input: "text a[n]+e?b", body: matches(/an+e?b/g) },
  { name: "sha256sum", input: "text", body: createHash("sha256").update(TEXT).digest("hex") },
  {
    name: "substr",
    input: "text ana",
    body: offsetsOf(/(?=ana)/g)
      .slice(0, 64)
      .join(" "),
  },
  { name: "thumbnail-decode", input: "picture", body: thumbnail() },
  { name: "thumbnail-shrink", input: "picture", body: thumbnail() },
  { name: "matmul", input: "matrix", body: traceOfCube().toFixed(6) },
  { name: "json", input: "json", body: JSON.stringify(ordered(DOCUMENT)) },
  { name: "grow", input: `text ${GROWN_MIB}`, body: `${grownSum()}` },
  {
    name: "sort",
    input: "text",
    body: [...new Set(lines())]
      .sort()
      .map((line) => `${line}\n`)
      .join(""),
  },
  { name: "letters", input: "text", body: letters() },
];

function countedWords(): string {
  const counts = new Map<string, number>();
  for (const word of BYTES.split(/[\0- ]+/).filter((one) => one !== "")) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return utf8(
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([word, count]) => `${word}\t${count}\n`)
      .join(""),
  );
}

function offsetsOf(pattern: RegExp): number[] {
  return Array.from(BYTES.matchAll(pattern), ({ index }) => index);
}

/** By the texts that match, in order of their bytes. */
function matches(pattern: RegExp): string {
  const found = Map.groupBy(BYTES.matchAll(pattern), ([match]) => match);
  const line = (match: string) =>
    `${match}\t${found
      .get(match)
      ?.map(({ index }) => index)
      .join(" ")}\n`;
  return [...found.keys()].sort().map(line).join("");
}

function lines(): string[] {
  const all = TEXT.split("\n");
  return all.at(-1) === "" ? all.slice(0, -1) : all;
}

function letters(): string {
  const counts = new Map<string, number>();
  for (const letter of BYTES.match(/[a-z]/g) ?? []) {
    const name = "aeiou".includes(letter) ? letter.toUpperCase() : letter;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [`${BYTES.length}`, ...[...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => name + count)].join(" ");
}

function thumbnail(): Buffer {
  const [width, height] = [Math.floor(WIDTH / 4), Math.floor(HEIGHT / 4)];
  const small = Buffer.alloc(width * height * 3);
  for (let at = 0; at < small.length; at++) {
    const [x, y, colour] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width), at % 3];
    let sum = 0;
    for (let i = 0; i < 16; i++) {
      sum += PICTURE[3 * ((4 * y + (i >> 2)) * WIDTH + 4 * x + (i & 3)) + colour] ?? 0;
    }
    small[at] = sum >> 4;
  }
  return Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), small]);
}

function traceOfCube(): number {
  const at = (i: number, j: number) => MATRIX[i * N + j] ?? 0;
  let trace = 0;
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < N; j++) {
      for (let k = 0; k < N; k++) {
        trace += at(i, j) * at(j, k) * at(k, i);
      }
    }
  }
  return trace;
}

/** Of the blocks that are kept: each second one. */
function grownSum(): number {
  const bytes = Buffer.from(TEXT);
  return Array.from({ length: GROWN_MIB }, (_, i) => (i % 2 === 0 ? 0 : (bytes[i] ?? 0) * 2 ** 20)).reduce((a, b) => a + b);
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(ordered);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const members = Object.entries(value).map(([name, member]) => [name, ordered(member)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}

async function prepare(url: string): Promise<void> {
  for (const { name } of [...SAMPLES, { name: "replace" }, { name: "throws" }]) {
    await upload(url, USER, name, sampleModule(`faasm/${name}`));
  }
  for (const [key, value] of Object.entries(OBJECTS)) {
    await writeObject(url, USER, key, value);
  }
}

/** `place` is what the answer says of where a part ran that was not forbidden. */
function answersTheSame(urlOf: () => string, place: string): void {
  it.each(SAMPLES)("$name", async ({ name, input, body }) => {
    for (const forbid_ndp of [false, true]) {
      const answer = await call(urlOf(), { user: USER, function: name, input_data: input, forbid_ndp });
      const expected = Buffer.isBuffer(body) ? body.toString() : body;
      expect({ status: answer.status, isSame: answer.body === expected, body: answer.body.slice(0, 200) }).toEqual({
        status: 200,
        isSame: true,
        body: expected.slice(0, 200),
      });
      expect(answer.headers.get("neap-parts")).toContain(forbid_ndp ? "forbidden by the request" : place);
    }
  });

  it("replace, which writes from within the part", async () => {
    for (const forbid_ndp of [false, true]) {
      await writeObject(urlOf(), USER, "changed", TEXT);
      const replace = (input: string) => call(urlOf(), { user: USER, function: "replace", input_data: input, forbid_ndp });
      expect(await replace("changed an ANNA")).toMatchObject({ status: 200, body: `OK ${TEXT.split("an").length - 1}` });
      const hash = await call(urlOf(), { user: USER, function: "sha256sum", input_data: "changed", forbid_ndp });
      expect(hash.body).toBe(createHash("sha256").update(TEXT.replaceAll("an", "ANNA")).digest("hex"));
    }
  });

  it("throws, whose exception is the end of the call, wherever the part is", async () => {
    for (const forbid_ndp of [false, true]) {
      const throws = (input: string) => call(urlOf(), { user: USER, function: "throws", input_data: input, forbid_ndp });
      expect(await throws("numbers")).toMatchObject({ status: 200, body: "1000000042" });
      const { status, body } = await throws("text");
      expect(status).toBe(500);
      expect(body).toContain("not a whole number: ");
    }
  });

  it("an object that is not there is the caller's to see", async () => {
    for (const { name } of SAMPLES) {
      for (const forbid_ndp of [false, true]) {
        const answer = await call(urlOf(), { user: USER, function: name, input_data: "none 1", forbid_ndp });
        expect(answer, name).toMatchObject({ status: 500, body: "Call failed (return value=1)" });
      }
    }
  });
}

describe.skipIf(findClang() === null)("C++ modules in Faasm's shape", () => {
  beforeAll(() => buildFunctions({ force: false }), 240_000);

  describe("on one process", () => {
    const folder = temporaryFolder("faasm-cpp");
    let host: RunningHost;
    beforeAll(async () => {
      // Whatever else this machine does meanwhile.
      const flags = ["--offload-cpu-threshold", "1", "--offload-memory-threshold", "1"];
      host = await startHost({ dataDirectory: folder, flags });
      await prepare(host.url);
    }, 120_000);
    afterAll(async () => {
      await host?.kill();
      removeFolder(folder);
    });
    answersTheSame(() => host.url, "marked by the function");
  });

  describe("on several processes", () => {
    let cluster: HostCluster;
    beforeAll(async () => {
      cluster = await HostCluster.start("faasm-cpp-cluster", { compute: 1 });
      await prepare(cluster.url(0));
    }, 120_000);
    afterAll(() => cluster?.close());
    answersTheSame(() => cluster.url(0), "storage@store");
  });
});
