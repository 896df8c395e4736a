import { createSocket } from "node:dgram";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allowEntry } from "../../../../host/egress/allow-list.ts";
import { destination } from "../../../../host/egress/destination.ts";
import { type Network, systemNetwork } from "../../../../host/egress/network.ts";

const A = 1;
const CNAME = 5;
const AAAA = 28;

const label = (name: string) =>
  Buffer.concat([
    ...name.split(".").map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)])),
    Buffer.from([0]),
  ]);

function answerOf(name: string, type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([label(name), head, data]);
}

/** What a small server of names says of a name and a type. */
const ZONE: Readonly<Record<string, readonly Buffer[]>> = {
  "a.example 1": [answerOf("a.example", A, Buffer.from([93, 184, 216, 34]))],
  "a.example 28": [answerOf("a.example", AAAA, Buffer.from("20010470000000000000000000000001", "hex"))],
  "alias.example 1": [
    answerOf("alias.example", CNAME, label("inside.example")),
    answerOf("inside.example", A, Buffer.from([10, 0, 0, 7])),
  ],
};

const server = createSocket("udp4");
let network: Network;

beforeAll(async () => {
  server.on("message", (query, { port, address }) => {
    const end = query.indexOf(0, 12);
    const parts: string[] = [];
    for (let at = 12; at < end; at += 1 + (query[at] ?? 0)) {
      parts.push(query.subarray(at + 1, at + 1 + (query[at] ?? 0)).toString());
    }
    const answers = ZONE[`${parts.join(".").toLowerCase()} ${query.readUInt16BE(end + 1)}`] ?? [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | (parts[0] === "gone" ? 3 : parts[0] === "broken" ? 2 : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    server.send(Buffer.concat([head, query.subarray(12, end + 5), ...answers]), port, address);
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  network = systemNetwork([`127.0.0.1:${server.address().port}`]);
});

afterAll(() => void server.close());

describe("names", () => {
  it("have their addresses of both families", async () => {
    expect(await network.resolve("a.example")).toEqual(["93.184.216.34", "2001:470::1"]);
  });

  it("have those of the name that they are an alias of, which are checked like others", async () => {
    expect(await network.resolve("alias.example")).toEqual(["10.0.0.7"]);
    const list = [allowEntry("alias.example") ?? { scheme: null, host: "", covers: "host" as const, port: null }];
    const asked = destination(new URL("http://alias.example/"), { list, allowPrivate: false, ownPorts: [] }, network);
    await expect(asked).rejects.toMatchObject({
      code: "EGRESS_DENIED",
      message: expect.stringContaining("10.0.0.7, which is a private one"),
    });
  });

  it("without an address have none; of a server that fails nothing is known", async () => {
    expect(await network.resolve("gone.example")).toEqual([]);
    await expect(network.resolve("broken.example")).rejects.toThrow();
  });

  it("localhost is loopback, and nobody is asked", async () => {
    expect(await network.resolve("localhost")).toEqual(["127.0.0.1", "::1"]);
    expect(await network.resolve("a.localhost")).toEqual(["127.0.0.1", "::1"]);
  });
});
