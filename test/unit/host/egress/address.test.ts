import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { addressBytes, addressKind, canonicalAddress } from "../../../../host/egress/address.ts";

const kindOf = (text: string) => addressKind(addressBytes(text) ?? new Uint8Array(0));

/** An IPv4 address as IPv6 may carry it. */
const carried = (a: number, b: number, c: number, d: number) => {
  const hex = (high: number, low: number) => ((high << 8) | low).toString(16);
  return {
    mapped: `::ffff:${a}.${b}.${c}.${d}`,
    mappedHex: `::ffff:${hex(a, b)}:${hex(c, d)}`,
    nat64: `64:ff9b::${hex(a, b)}:${hex(c, d)}`,
    sixToFour: `2002:${hex(a, b)}:${hex(c, d)}::1`,
  };
};

describe("what an address stands for", () => {
  test.each([
    [
      "public",
      "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.167.0.1 198.17.0.1 198.20.0.1 223.255.255.255",
    ],
    ["public", "2606:4700:4700::1111 2a00:1450::1 2003::1"],
    ["private", "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255"],
    ["private", "fc00::1 fd12:3456::1 fec0::1"],
    ["loopback", "127.0.0.1 127.255.255.254 ::1"],
    ["linkLocal", "169.254.169.254 fe80::1 fe80::1%eth0 febf::1"],
    [
      "special",
      "0.0.0.0 0.1.2.3 192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255",
    ],
    ["special", ":: ::127.0.0.1 ff02::1 100::1 64:ff9b:1::1 2001::1 2001:db8::1 3fff::1 4000::1"],
  ])("%s: %s", (kind, texts) => {
    for (const text of texts.split(" ")) {
      expect([text, kindOf(text)]).toEqual([text, kind]);
    }
  });

  it("one that carries an IPv4 address is what that is, whatever that is", () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const first = fc.oneof(byte, fc.constantFrom(0, 10, 127, 169, 172, 192, 224));
    fc.assert(
      fc.property(first, byte, byte, byte, (a, b, c, d) => {
        const plain = kindOf(`${a}.${b}.${c}.${d}`);
        for (const text of Object.values(carried(a, b, c, d))) {
          expect([text, kindOf(text)]).toEqual([text, plain]);
        }
      }),
    );
  });

  it("the same address is the same text, however it is written", () => {
    expect(
      new Set(
        ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:FFFF:7f00:0001", "64:ff9b::7f00:1", "2002:7f00:1::"].map(
          canonicalAddress,
        ),
      ).size,
    ).toBe(1);
    expect(canonicalAddress("fe80::1%eth0")).toBe(canonicalAddress("FE80:0::1"));
    expect(canonicalAddress("::1")).not.toBe(canonicalAddress("127.0.0.1"));
    expect(["", "localhost", "1.2.3", "1.2.3.256", ":::", "12345::"].map(canonicalAddress)).toEqual(Array(6).fill(null));
  });
});
