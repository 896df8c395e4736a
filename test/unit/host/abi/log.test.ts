import { describe, expect, it } from "vitest";
import { GuestError } from "../../../../host/abi/operations.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";

const BUFFER = 16_384;
const HEAD = 50_000;
const SEQNUM_MAX = 2n ** 53n - 1n;
const INVALID = BigInt(GuestError.invalid);

const sized = (text: string): string => `${String.fromCharCode(text.length & 0xff, text.length >> 8)}${text}`;

/** Tags or conditions as they lie in the guest's memory. */
class LogCalls extends GuestCalls {
  #place(bytes: Uint8Array, at: number): [number, number] {
    this.memory.set(bytes, at);
    return [at, bytes.byteLength];
  }

  append(tags: Uint8Array, when: Uint8Array, lengthBytes = 4): Promise<unknown> {
    const args = [...this.#place(tags, 0), ...this.#place(when, 8_192), BUFFER, lengthBytes, 0, HEAD];
    return this.call("log_append", ...args);
  }

  post(tags: Uint8Array, lengthBytes = 4): Promise<unknown> {
    return this.call("log_post", ...this.#place(tags, 0), BUFFER, lengthBytes);
  }
}

const tags = (...names: string[]): Uint8Array => Buffer.from(names.map(sized).join(""), "latin1");
const condition = (tag: string, what: number, value: bigint): Uint8Array => {
  const end = Buffer.alloc(9);
  end.writeUInt8(what, 0);
  end.writeBigInt64LE(value, 1);
  return Buffer.concat([tags(tag), end]);
};

describe("what a guest may not ask of the log is refused before anything is asked of the host", () => {
  const wrongTags: readonly [string, Uint8Array][] = [
    ["none", tags()],
    ["an empty one", tags("")],
    ["one that is too long", tags("t".repeat(257))],
    ["one with a control character", tags("a\n")],
    ["one that is not UTF-8", Buffer.from([1, 0, 0xff])],
    ["one twice", tags("a", "b", "a")],
    ["too many", tags(...Array.from({ length: 17 }, (_, i) => `${i}`))],
    ["a length beyond the end", Buffer.from([9, 0, 0x61])],
    ["half a length", Buffer.from([1])],
  ];
  for (const [what, wrong] of wrongTags) {
    it(`tags: ${what}`, async () => {
      const host = new MemoryHost();
      const calls = new LogCalls(host, 2 ** 20);
      expect(await calls.append(wrong, tags())).toBe(INVALID);
      expect(await calls.post(wrong)).toBe(GuestError.invalid);
      expect(host.operations).toEqual([]);
    });
  }

  const wrongConditions: readonly [string, Uint8Array][] = [
    ["a negative length", condition("a", 0, -1n)],
    ["a seqnum above 2^53 - 1", condition("a", 1, SEQNUM_MAX + 1n)],
    ["an unknown what", condition("a", 2, 0n)],
    ["no tag", condition("", 0, 0n)],
    ["too many", Buffer.concat(Array.from({ length: 17 }, () => condition("a", 0, 0n)))],
    ["half a value", condition("a", 0, 0n).subarray(0, 8)],
  ];
  for (const [what, wrong] of wrongConditions) {
    it(`conditions: ${what}`, async () => {
      const host = new MemoryHost();
      expect(await new LogCalls(host).append(tags("a"), wrong)).toBe(INVALID);
      expect(host.operations).toEqual([]);
    });
  }

  it("[15] seqnums: negative ones and those above 2^53 - 1", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    for (const wrong of [-1n, SEQNUM_MAX + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(await calls.call("log_read_prev", "a", wrong, BUFFER, 4, HEAD)).toBe(INVALID);
      expect(await calls.call("log_read_next", "a", wrong, BUFFER, 4, HEAD)).toBe(INVALID);
      expect(await calls.call("log_await_next", "a", wrong, 0n, BUFFER, 4, HEAD)).toBe(INVALID);
      expect(await calls.call("log_trim", "a", wrong)).toBe(GuestError.invalid);
    }
    for (const tag of ["", "t".repeat(257), "a\0"]) {
      expect(await calls.call("log_read_prev", tag, 0n, BUFFER, 4, HEAD)).toBe(INVALID);
      expect(await calls.call("log_tail", tag, HEAD)).toBe(GuestError.invalid);
    }
    expect(await calls.call("log_trim", "t".repeat(257), 0n)).toBe(GuestError.invalid);
    expect(host.operations).toEqual([]);
  });

  it("a time-out that no timer can wait for ends the call", async () => {
    const calls = new GuestCalls(new MemoryHost());
    for (const wrong of [-1n, 2n ** 31n]) {
      await expect(calls.call("log_await_next", "a", 0n, wrong, BUFFER, 4, HEAD)).rejects.toThrow(
        new GuestFault(`log_await_next: time-out is ${wrong} ms, must be 0 to 2147483647`),
      );
    }
  });

  it("a record above the limit", async () => {
    const host = new MemoryHost();
    const calls = new LogCalls(host, 2 ** 20);
    expect(await calls.append(tags("a"), tags(), 262_145)).toBe(BigInt(GuestError.tooLarge));
    expect(await calls.post(tags("a"), 262_145)).toBe(GuestError.tooLarge);
    expect(host.operations).toEqual([]);
    expect(await calls.append(tags("a"), tags(), 262_144)).toBe(1n);
    expect(await calls.append(tags("t".repeat(256)), tags(), 0)).toBe(2n);
  });
});

describe("log_append", () => {
  it("stores the winner's seqnum and which condition failed", async () => {
    const host = new MemoryHost();
    const calls = new LogCalls(host);
    expect(await calls.append(tags("a", "b"), tags())).toBe(1n);
    const when = Buffer.concat([condition("c", 0, 0n), condition("b", 1, 0n)]);
    expect(await calls.append(tags("c"), when)).toBe(BigInt(GuestError.conflict));
    expect([calls.i64At(HEAD), calls.bytesAt(HEAD + 16, 4).readInt32LE()]).toEqual([1n, 1]);
    expect(await calls.append(tags("c"), condition("c", 0, 5n))).toBe(BigInt(GuestError.gap));
    expect(calls.i64At(HEAD + 8)).toBe(0n);
    expect(host.log.records).toHaveLength(1);
  });
});

describe("log_post", () => {
  it("appends without saying where, and nothing to a stream that is closed", async () => {
    const host = new MemoryHost();
    const calls = new LogCalls(host);
    calls.memory.set(Buffer.from("text"), BUFFER);
    expect(await calls.post(tags("a", "b"))).toBe(0);
    expect([host.log.texts("a"), host.log.texts("b")]).toEqual([["text"], ["text"]]);
    const closes = [0, tags("a").byteLength, 0, 0, BUFFER, 4, 1, 0];
    calls.memory.set(tags("a"), 0);
    expect(await calls.call("log_append", ...closes)).toBe(2n);
    expect(await calls.post(tags("a"))).toBe(0);
    expect(host.log.texts("a")).toHaveLength(2);
    calls.memory.set(tags("a"), 0);
    expect(await calls.call("log_append", ...closes)).toBe(BigInt(GuestError.closed));
  });
});

describe("log_tail, log_trim and log_await_next", () => {
  async function tail(calls: LogCalls, tag = "a") {
    expect(await calls.call("log_tail", tag, HEAD)).toBe(0);
    return [...[0, 8, 16].map((at) => Number(calls.i64At(HEAD + at))), calls.bytesAt(HEAD + 24, 4).readInt32LE()];
  }

  it("say how long a stream is, where it ends and begins, and whether it is closed", async () => {
    const calls = new LogCalls(new MemoryHost());
    expect(await tail(calls)).toEqual([0, 0, 0, 0]);
    for (let record = 0; record < 3; record++) {
      await calls.append(tags("a"), tags());
    }
    expect(await calls.call("log_trim", "a", 2n)).toBe(0);
    expect(await tail(calls)).toEqual([3, 3, 2, 0]);
    expect(await calls.call("log_await_next", "a", 2n, 0n, BUFFER, 4, HEAD)).toBe(BigInt(GuestError.trimmed));
    expect(calls.i64At(HEAD)).toBe(2n);
    expect(await calls.call("log_await_next", "a", 3n, 2n ** 31n - 1n, BUFFER, 4, HEAD)).toBe(4n);
    expect(await calls.call("log_await_next", "a", 4n, 0n, BUFFER, 4, HEAD)).toBe(BigInt(GuestError.notFound));
  });

  it("a trim without a name is of all streams, and one beyond the end is of what there is", async () => {
    const calls = new LogCalls(new MemoryHost());
    await calls.append(tags("a"), tags());
    await calls.append(tags("b"), tags());
    expect(await calls.call("log_trim", "a", SEQNUM_MAX)).toBe(0);
    expect(await calls.call("log_read_next", "b", 0n, BUFFER, 4, 0)).toBe(4n);
    expect(await calls.call("log_trim", 0, 0, 2n)).toBe(0);
    expect(await calls.call("log_read_next", "b", 0n, BUFFER, 4, 0)).toBe(BigInt(GuestError.trimmed));
  });
});

describe("reads of the log", () => {
  it("copy what fits, and say the size, the seqnum and whether the record closed the stream", async () => {
    const calls = new LogCalls(new MemoryHost());
    calls.memory.set(Buffer.from("0123"), BUFFER);
    await calls.append(tags("a"), tags());
    expect(await calls.call("log_read_prev", "a", SEQNUM_MAX, BUFFER + 100, 2, HEAD)).toBe(4n);
    expect(calls.bytesAt(BUFFER + 100, 3).toString()).toBe("01\0");
    expect([calls.i64At(HEAD), calls.bytesAt(HEAD + 8, 4).readInt32LE()]).toEqual([1n, 0]);
    expect(await calls.call("log_read_next", "a", 2n, BUFFER, 4, 0)).toBe(BigInt(GuestError.notFound));
    await calls.call("log_trim", "a", 1n);
    expect(await calls.call("log_read_next", "a", 0n, BUFFER, 4, HEAD)).toBe(BigInt(GuestError.trimmed));
  });
});
