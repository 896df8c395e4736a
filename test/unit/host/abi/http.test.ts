import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../../host/abi/operations.ts";
import { NeapError } from "../../../../state/errors.ts";
import { GuestCalls, withinCall } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";

const BUFFER = 16_384;
const BODY = 65_536;
const MIB = 1024 * 1024;
const MEMORY_BYTES = 2 * MIB;
const URL = "http://bank/charge";
const { invalid, noAnswer, notFound, notInPart, inTransaction, tooLarge } = GuestError;

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
});

const within = <T>(use: (calls: GuestCalls) => Promise<T>): Promise<T> => withinCall(host, use, MEMORY_BYTES);

/** The status; the request has no headers and no body. */
const get = (calls: GuestCalls, flags = 0) => calls.call("http_request", "GET", URL, "", "", flags);

async function part(calls: GuestCalls, which: number, offset = 0n, capacity = 100): Promise<string> {
  calls.memory.fill(0, BUFFER, BUFFER + capacity);
  const size = Number(await calls.call("http_read", which, offset, BUFFER, capacity));
  return size < 0 ? `${size}` : calls.bytesAt(BUFFER, Math.max(0, Math.min(capacity, size - Number(offset)))).toString();
}

describe("http_request", () => {
  it("sends method, address, headers and body, and answers the status", async () => {
    host.egress.answer = () => ({ status: 418, headers: [["X-Is", "a teapot"]], body: "short and stout" });
    await within(async (calls) => {
      expect(await calls.call("http_request", "POST", URL, "X-A: b\nX-C: d", "10", 0)).toBe(418);
      expect([await part(calls, 0), await part(calls, 1)]).toEqual(["X-Is: a teapot", "short and stout"]);
    });
    const [sent] = host.egress.sent;
    expect([sent?.method, `${sent?.url}`, Buffer.from(sent?.body ?? []).toString()]).toEqual(["POST", URL, "10"]);
    expect(new Map(sent?.headers)).toEqual(
      new Map([
        ["X-A", "b"],
        ["X-C", "d"],
      ]),
    );
  });

  it("without an answer says so, and http_read why", async () => {
    host.egress.answer = () => {
      throw new NeapError("EGRESS_DENIED", "not there");
    };
    await within(async (calls) => {
      expect(await get(calls, 1)).toBe(noAnswer);
      expect([await part(calls, 0), await part(calls, 1)]).toEqual(["EGRESS_DENIED", "not there"]);
    });
  });

  it("takes the longest address, headers and body there may be, and sends nothing that is longer", async () => {
    await within(async (calls) => {
      const request = async (urlBytes: number, headersBytes: number, bodyBytes: number) => {
        calls.memory.fill(0x61, BODY);
        calls.memory.set(Buffer.from("PUT"), 0);
        calls.memory.set(Buffer.from("http://bank/"), BODY);
        calls.memory.set(Buffer.from("X-A: "), 2 * BODY);
        const [url, headers, body] = [BODY, 2 * BODY, 3 * BODY];
        return calls.call("http_request", 0, 3, url, urlBytes, headers, headersBytes, body, bodyBytes, 0);
      };
      expect(await request(8192, 16_384, MIB)).toBe(200);
      expect(await request(8193, 16_384, MIB)).toBe(invalid);
      expect(await request(8192, 16_385, MIB)).toBe(invalid);
      expect(await request(8192, 16_384, MIB + 1)).toBe(tooLarge);
    });
    expect(host.egress.sent).toHaveLength(1);
  });

  it("refuses what is none, and anything inside a transaction", async () => {
    await within(async (calls) => {
      expect(await calls.call("http_request", "M".repeat(17), URL, "", "", 0)).toBe(invalid);
      for (const [method, url, headers] of [
        ["", URL, ""],
        ["GET", "no address", ""],
        ["GET", URL, "no header"],
      ] as const) {
        expect(await calls.call("http_request", method, url, headers, "", 0)).toBe(noAnswer);
        expect(await part(calls, 0)).toBe("EGRESS_BAD_REQUEST");
      }
      calls.memory.set([0x47, 0xff], 60_000);
      expect(await calls.call("http_request", 60_000, 2, URL, "", "", 0)).toBe(invalid);
      for (const flags of [2, 3, -1]) {
        expect(await get(calls, flags)).toBe(invalid);
      }
      await calls.call("transaction_begin", 0);
      expect(await get(calls)).toBe(inTransaction);
    });
    expect(host.egress.sent).toEqual([]);
  });
});

describe("http_read", () => {
  it("copies what fits from an offset, nothing at and behind the end, and says the whole size", async () => {
    host.egress.answer = () => ({ status: 200, headers: [], body: "0123456789" });
    await within(async (calls) => {
      await get(calls);
      expect([await part(calls, 1, 3n, 4), await part(calls, 1, 10n), await part(calls, 1, 2n ** 53n - 1n)]).toEqual([
        "3456",
        "",
        "",
      ]);
      expect(await calls.call("http_read", 1, 0n, BUFFER, 0)).toBe(10n);
    });
  });

  it("H27: copies in slices what no single message holds", async () => {
    const body = "0123456789abcdefg".repeat(30_000);
    host.egress.answer = () => ({ status: 200, headers: [], body });
    await within(async (calls) => {
      await get(calls);
      expect(await part(calls, 1, 0n, MIB)).toBe(body);
    });
  });

  it("refuses parts that there are not, offsets that nothing has, and to read before a request", async () => {
    await within(async (calls) => {
      expect(await part(calls, 0)).toBe(`${notFound}`);
      await get(calls);
      for (const which of [2, -1, 2 ** 31 - 1]) {
        expect(await part(calls, which)).toBe(`${invalid}`);
      }
      for (const offset of [-1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]) {
        expect(await part(calls, 1, offset)).toBe(`${invalid}`);
      }
    });
  });
});

it("H16: inside a storage part neither asks anything of the host", async () => {
  const memory = new MemoryHost();
  const calls = new GuestCalls(memory);
  calls.guest.call.inPart = true;
  expect(await get(calls)).toBe(notInPart);
  expect(await calls.call("http_read", 0, 0n, BUFFER, 10)).toBe(BigInt(notInPart));
  expect(memory.operations).toEqual([]);
});
