import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { MessageThread } from "../../../../host/http/message-thread.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";

const MIB = 1024 * 1024;
/** What one unit of work of the main thread gets of a body: what the socket gives at a time. */
const CHUNK_MAX_BYTES = 64 * 1024;
const PARSED_HERE_MAX_BYTES = 32 * 1024;
const CALLS = "/v1/tenants/demo/functions/echo/calls";

let http: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start({ limits: { inputMaxBytes: 16 * MIB } });
  http.invocations.functions.set("echo", ({ input }) => ({ output: input }));
});
afterAll(() => http.close());
beforeEach(() => {
  http.invocations.calls.length = 0;
  http.invocations.chunkSizes.length = 0;
});

function noise(sizeBytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 2654435761) >>> 13));
}

describe("H27: a native body", () => {
  test.each([
    ["by Content-Length", false],
    ["chunked", true],
  ])("above 1 MiB, %s, reaches the call in small chunks", async (_, chunked) => {
    const body = noise(5 * MIB + 17);
    const answer = await http.send("POST", CALLS, { body, chunked });
    expect([answer.status, answer.bytes.equals(body)]).toEqual([200, true]);
    const { chunkSizes } = http.invocations;
    expect(chunkSizes.reduce((sum, size) => sum + size, 0)).toBe(body.length);
    expect(Math.max(...chunkSizes)).toBeLessThanOrEqual(CHUNK_MAX_BYTES);
  });

  test("of up to 1 MiB is one piece", async () => {
    const body = noise(MIB);
    expect((await http.send("POST", CALLS, { body })).bytes.equals(body)).toBe(true);
    expect(http.invocations.chunkSizes).toEqual([]);
  });

  test("above 1 MiB is asked for only when the call takes it", async () => {
    const client = http.raw();
    const head = (name: string) =>
      `POST /v1/tenants/demo/functions/${name}/calls HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${2 * MIB}\r\n\r\n`;
    client.write(head("echo"));
    await client.until("HTTP/1.1 100 Continue\r\n\r\n");
    client.socket.destroy();
    const refused = http.raw();
    refused.write(head("absent"));
    await refused.until("UNKNOWN_FUNCTION");
    expect(refused.received).toMatch(/^HTTP\/1\.1 404 /);
    refused.socket.destroy();
  });

  test("that breaks off calls nothing", async () => {
    const client = http.raw();
    client.write(`POST ${CALLS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${2 * MIB}\r\n\r\nbegun`);
    while (http.invocations.chunkSizes.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.destroy();
    while (!http.metrics.render().includes("neap_http_in_flight 0")) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(http.invocations.calls).toEqual([]);
  });
});

describe("H27: a JSON body that is parsed in a thread", () => {
  const good = { user: "demo", function: "echo" };
  test("is not parsed on the main thread", async () => {
    const parse = vi.spyOn(JSON, "parse");
    const sizes = [100, 31 * 1024, 33 * 1024, MIB, 3 * MIB];
    for (const size of sizes) {
      expect((await http.call({ ...good, input_data: "x".repeat(size) })).text.length).toBe(size);
    }
    const parsedHere = parse.mock.calls.map(([text]) => text.length);
    parse.mockRestore();
    expect(parsedHere.length).toBe(2);
    expect(Math.max(...parsedHere)).toBeLessThanOrEqual(PARSED_HERE_MAX_BYTES);
  });

  test.each([100_000, 3 * MIB])("of %i characters and more is the same call", async (length) => {
    const input_data = `\u00e9"\n\u{1f40b}${"x".repeat(length)}`;
    const answer = await http.call({ ...good, input_data, forbid_ndp: true }, { "Idempotency-Key": `k${length}` });
    expect([answer.status, answer.text === input_data]).toEqual([200, true]);
    expect(http.invocations.calls[0]).toMatchObject({ forbidPushDown: true, key: { value: `k${length}` } });
  });

  test.each([
    "",
    '{"user":"demo",}',
    "hello",
    '{"user":\n"demo" 7',
    "[]",
    "7",
    '{"user":"demo","function":"echo","input_data":7}',
    '{"user":"demo","function":"echo","id":1.5}',
    '{"user":"demo","function":"echo","input_data":"\\ud800"}',
    '{"user":"demo"}',
    '{"function":"echo"}',
    '{"user":"../x","function":"echo"}',
    `{"user":"demo","function":"${"f".repeat(3000)}"}`,
    `{"user":"demo","function":"echo","cmdline":"${"c".repeat(3000)}"}`,
    '{"user":"demo","function":"echo","type":1}',
    '{"id":7,"status":true}',
    '{"id":7,"exec_graph":true}',
  ])("is refused as a short one is: %s", async (text) => {
    const short = await http.send("POST", "/f/", { body: ` ${text}` });
    const long = await http.send("POST", "/f/", { body: ` ${text}${" ".repeat(MIB)}` });
    const tell = ({ status, headers, text }: typeof short) => ({ status, code: headers["neap-error"], text });
    // Only the end of the text is elsewhere.
    const wanted = { ...tell(short), text: short.text.replace("position 1", `position ${1 + MIB}`) };
    expect(tell(long)).toEqual(text === "" ? wanted : tell(short));
    expect(short.status).toBeGreaterThanOrEqual(400);
    expect(http.invocations.calls).toEqual([]);
  });

  test("is refused when it is not UTF-8, and when its input is too large", async () => {
    const bytes = Buffer.from(JSON.stringify({ ...good, input_data: "x".repeat(MIB) }));
    bytes[MIB / 2] = 0xff;
    const broken = await http.send("POST", "/f/", { body: bytes });
    expect([broken.status, broken.text]).toEqual([400, "the body is not JSON: it is not UTF-8"]);
    const large = await http.call({ ...good, input_data: "x".repeat(16 * MIB + 1) });
    expect([large.status, large.text]).toEqual([413, `input_data is ${16 * MIB + 1} bytes, the limit is ${16 * MIB}`]);
    expect(http.invocations.calls).toEqual([]);
  });
});

describe("the thread that parses", () => {
  const threads: MessageThread[] = [];
  afterAll(() => Promise.all(threads.map((thread) => thread.close())));
  function open(bodyMaxBytes: number): MessageThread {
    const thread = new MessageThread(bodyMaxBytes);
    threads.push(thread);
    return thread;
  }
  const blocks = (...texts: string[]) => texts.map((text) => new Uint8Array(Buffer.from(text)));

  test("H27: the main thread goes on while it works", async () => {
    const thread = open(64 * MIB);
    let parsed = false;
    const parsing = thread.parse(blocks(`{"input_data":"${"x".repeat(MIB)}`, "y".repeat(MIB), '"}')).then((message) => {
      parsed = true;
      return message;
    });
    let turns = 0;
    while (!parsed) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    expect(turns).toBeGreaterThan(1);
    expect((await parsing).input?.byteLength).toBe(2 * MIB);
  });

  test("the blocks are handed over, not copied", async () => {
    const thread = open(MIB);
    const [block = new Uint8Array(1)] = blocks("{}");
    const parsing = thread.parse([block]);
    expect(block.byteLength).toBe(0);
    expect((await parsing).input?.byteLength).toBe(0);
  });

  test("each body gets its own answer", async () => {
    const thread = open(MIB);
    const answers = await Promise.allSettled(
      ["a", 7, "b"].map((input_data) => thread.parse(blocks(JSON.stringify({ input_data })))),
    );
    expect(
      answers.map((answer) => (answer.status === "fulfilled" ? `${Buffer.from(answer.value.input ?? [])}` : answer.reason.code)),
    ).toEqual(["a", "BAD_REQUEST", "b"]);
  });

  test.each([
    ["values", '{"a":[', "{},", '1],"input_data":"x"}', 1],
    ["open brackets", '{"a":', "[", "", "it ends too early"],
    ["line breaks", "[", "\n", "x", "position 8388609 (line 8388609, column 1)"],
    ["keys", "{", '"0":{},', '"input_data":"x"}', 1],
  ])("a body of many %s takes no more memory than its text", async (_, before, unit, after, wanted) => {
    const body = [before, unit.repeat((8 * MIB) / unit.length), after];
    const told = await open(8 * MIB)
      .parse(blocks(...body))
      .then(
        ({ input }) => input?.byteLength,
        (error: Error) => error.message,
      );
    expect(told).toEqual(typeof wanted === "number" ? wanted : expect.stringContaining(wanted));
  });

  test("what is not parsed when the host stops is answered", async () => {
    const thread = open(MIB);
    const parsing = [thread.parse(blocks("{}")), thread.parse(blocks("{}"))].map((asked) => asked.catch((error) => error.code));
    await thread.close();
    expect(await Promise.all(parsing)).toEqual(["SHUTTING_DOWN", "SHUTTING_DOWN"]);
  });
});
