/** A tenant whose clients stop in the middle: they hold what room bodies and answers have for one tenant, and others go on. */
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { totalmem } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { call, type RunningHost, removeFolder, sampleModule, startHost, temporaryFolder } from "../support/host-process.ts";

const MIB = 1024 * 1024;
const ROOM_BYTES = 128 * MIB;
const LEAST_SHARE = 0.001;
const SENT_BYTES = 30 * MIB;
const OUTPUT_PIECES = 240;
const TOKENS = { attacker: "token-of-the-attacker", bystander: "token-of-the-bystander" };

/** Asks for nothing and says nothing that is logged. */
const LONG_OUTPUT = `(module (import "neap" "output_write" (func $write (param i32 i32))) (memory 1)
  (func (export "main") (local $left i32) (local.set $left (i32.const ${OUTPUT_PIECES}))
    (loop $more
      (call $write (i32.const 0) (i32.const 65536))
      (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))`;

let host: RunningHost;
let folder: string;
let roomBytes: number;
const sockets: Socket[] = [];

beforeAll(async () => {
  await buildFunctions({ force: false });
  folder = temporaryFolder("bodies");
  const tokensFile = join(folder, "tokens.json");
  writeFileSync(tokensFile, JSON.stringify(Object.fromEntries(Object.entries(TOKENS).map(([tenant, token]) => [token, tenant]))));
  const limitBytes = process.constrainedMemory();
  const memoryBytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
  const share = Math.max(LEAST_SHARE, ROOM_BYTES / memoryBytes);
  roomBytes = share * memoryBytes;
  const flags = ["--tokens-file", tokensFile, "--body-memory-share", `${share}`, "--log-level", "error"];
  host = await startHost({ dataDirectory: join(folder, "data"), flags });
}, 120_000);

afterEach(() => {
  for (const socket of sockets.splice(0)) {
    socket.destroy();
  }
});

afterAll(async () => {
  await host.kill();
  removeFolder(folder);
});

type Tenant = keyof typeof TOKENS;
const authorization = (tenant: Tenant) => ({ Authorization: `Bearer ${TOKENS[tenant]}` });

async function put(tenant: Tenant, functionName: string, module: Uint8Array): Promise<void> {
  const url = `${host.url}/f/${tenant}/${functionName}`;
  expect((await fetch(url, { method: "PUT", body: module.slice(), headers: authorization(tenant) })).status).toBe(200);
}

/** A connection of the attacker with a request to `POST /f/` that says it has so many bytes. */
function begin(sizeBytes: number, body: string | Uint8Array): Socket {
  const socket = connect(Number(new URL(host.url).port), "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(
    `POST /f/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKENS.attacker}\r\nContent-Length: ${sizeBytes}\r\n\r\n`,
  );
  socket.write(body);
  return socket;
}

/** An upload, and calls with long bodies. */
async function expectBystanderServed(): Promise<void> {
  await put("bystander", "hello", sampleModule("hello"));
  const name = "x".repeat(4 * MIB);
  const answer = await call(host.url, { user: "bystander", function: "hello", input_data: name }, authorization("bystander"));
  expect([answer.status, answer.body === `Hello, ${name}!`]).toEqual([200, true]);
  const url = `${host.url}/v1/tenants/bystander/functions/hello/calls`;
  const native = await fetch(url, { method: "POST", body: name, headers: authorization("bystander") });
  expect([native.status, (await native.text()) === `Hello, ${name}!`]).toEqual([200, true]);
}

test("H27: a tenant whose requests stop in the middle of long bodies costs others nothing", async () => {
  let refused = "";
  const part = Buffer.alloc(SENT_BYTES, " ");
  for (let sentBytes = 0; sentBytes < roomBytes; sentBytes += SENT_BYTES) {
    begin(SENT_BYTES + 1, part).on("data", (text) => {
      refused += text;
    });
  }
  await eventually("it has all the room it may have", () => refused.includes("Neap-Error: OVERLOADED"));
  await expectBystanderServed();
  expect(refused).toContain("bodies of requests and answers of attacker");
});

test("H27: nor does one whose clients do not take their answers", async () => {
  await put("attacker", "long", wat(LONG_OUTPUT));
  const request = { user: "attacker", function: "long" };
  const body = JSON.stringify(request);
  for (let outputBytes = 0; outputBytes < roomBytes; outputBytes += OUTPUT_PIECES * 64 * 1024) {
    begin(body.length, body).pause();
  }
  const refused = await eventually("it has all the room it may have", async () => {
    const answer = await call(host.url, request, authorization("attacker"));
    return answer.status === 503 && answer.body;
  });
  await expectBystanderServed();
  expect(refused).toContain("bodies of requests and answers of attacker");
});
