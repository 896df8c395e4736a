/** What an IP address stands for. Source: IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890). */
import { isIP } from "node:net";

/**
 * `special`: nobody's (unspecified, multicast, reserved, for documentation, translation within a site). An address that carries an
 * IPv4 address to which a translator sends it is what that one is.
 */
export type AddressKind = "public" | "private" | "loopback" | "linkLocal" | "special";

interface Prefix {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

type Range = Prefix & { readonly kind: AddressKind };

const IPV4 = ranges([
  ["0.0.0.0", 8, "special"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "private"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "linkLocal"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "special"],
  ["192.0.2.0", 24, "special"],
  ["192.88.99.0", 24, "special"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "special"],
  ["198.51.100.0", 24, "special"],
  ["203.0.113.0", 24, "special"],
  ["224.0.0.0", 3, "special"],
  ["0.0.0.0", 0, "public"],
]);

/** The first that holds. */
const IPV6 = ranges([
  ["::1", 128, "loopback"],
  ["2001::", 23, "special"],
  ["2001:db8::", 32, "special"],
  ["3fff::", 20, "special"],
  ["2000::", 3, "public"],
  ["fc00::", 7, "private"],
  ["fec0::", 10, "private"],
  ["fe80::", 10, "linkLocal"],
  ["::", 0, "special"],
]);

/** IPv6 prefixes behind which an IPv4 address stands: mapped, NAT64, 6to4. */
const CARRIERS: readonly Prefix[] = [prefix("::ffff:0:0", 96), prefix("64:ff9b::", 96), prefix("2002::", 16)];

/** 4 or 16 bytes, a zone is left out; null when the text is no address. */
export function addressBytes(text: string): Uint8Array | null {
  const [address = ""] = text.split("%", 1);
  switch (isIP(address)) {
    case 4:
      return Uint8Array.from(address.split("."), Number);
    case 6:
      return ipv6Bytes(address);
    default:
      return null;
  }
}

/** The same text for the same address, however it was written; one that carries an IPv4 address is that one. Null: no address. */
export function canonicalAddress(text: string): string | null {
  const bytes = addressBytes(text);
  return bytes === null ? null : (carried(bytes) ?? bytes).join(".");
}

export function addressKind(bytes: Uint8Array): AddressKind {
  const inner = carried(bytes);
  if (inner !== null) {
    return addressKind(inner);
  }
  return (bytes.length === 4 ? IPV4 : IPV6).find((range) => isIn(bytes, range))?.kind ?? "special";
}

/** The IPv4 address that one stands for; null: none. */
function carried(bytes: Uint8Array): Uint8Array | null {
  const carrier = CARRIERS.find((one) => isIn(bytes, one));
  return carrier === undefined ? null : bytes.subarray(carrier.bits / 8, carrier.bits / 8 + 4);
}

function prefix(text: string, bits: number): Prefix {
  return { bytes: addressBytes(text) ?? new Uint8Array(0), bits };
}

function ranges(table: readonly (readonly [text: string, bits: number, kind: AddressKind])[]): readonly Range[] {
  return table.map(([text, bits, kind]) => ({ ...prefix(text, bits), kind }));
}

function isIn(address: Uint8Array, { bytes, bits }: Prefix): boolean {
  if (bytes.length !== address.length) {
    return false;
  }
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = 0xff00 >> Math.min(8, bits - bit);
    if ((((address[bit / 8] ?? 0) ^ (bytes[bit / 8] ?? 0)) & mask) !== 0) {
      return false;
    }
  }
  return true;
}

function ipv6Bytes(address: string): Uint8Array {
  const [head = "", tail = ""] = address.split("::");
  const front = groupBytes(head);
  const back = groupBytes(tail);
  return Uint8Array.from([...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back]);
}

/** Of groups between colons, the last of which may be an IPv4 address. */
function groupBytes(groups: string): number[] {
  if (groups === "") {
    return [];
  }
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) {
      return group.split(".").map(Number);
    }
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
