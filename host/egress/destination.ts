/** Where one request may be sent: the name by the allow-list, and then each address that the name has. */
import { isIP } from "node:net";
import { NeapError } from "../../state/errors.ts";
import { addressBytes, addressKind, canonicalAddress } from "./address.ts";
import { type AllowList, allowed, hostOf, portOf } from "./allow-list.ts";
import type { Network } from "./network.ts";

export interface DestinationRules {
  readonly list: AllowList;
  /** Names may have private and loopback addresses. */
  readonly allowPrivate: boolean;
  /** Where this process listens. */
  readonly ownPorts: readonly number[];
}

/** A name with more is nobody's that one wants to talk to. */
const ADDRESSES_MAX = 32;

/**
 * The addresses that a connection for `url` may be made to, at least one.
 *
 * D1. A name counts only with all of its addresses: one that is not allowed refuses it, so that no answer of a server of names, and no
 *     order in one, leads to where a plain address would not.
 * D2. Addresses within the machine or the site are for those who are told so: by `allowPrivate`, or by an entry that is that address.
 *     Link-local ones, where clouds keep their secrets, only by such an entry; special ones never.
 * D3. Nothing leads back to a port of this process.
 *
 * @throws EGRESS_DENIED, EGRESS_UNRESOLVED
 */
export async function destination(url: URL, rules: DestinationRules, network: Network): Promise<readonly string[]> {
  const host = hostOf(url);
  const place = `${host}, port ${portOf(url)}`;
  const grant = allowed(rules.list, url);
  if (grant === "no") {
    throw denied(
      `${place} by ${url.protocol.slice(0, -1)} is not among the hosts that --egress-allow, or "egress" of the tenant in --tenants-file, lists`,
    );
  }
  const isLiteral = isIP(host) !== 0;
  const addresses = isLiteral ? [host] : await resolved(host, network);
  for (const address of addresses) {
    const reason = refusal(address, isLiteral && grant === "named", portOf(url), rules, network);
    if (reason !== null) {
      throw denied(isLiteral ? `${place} is ${reason}` : `${place} has the address ${address}, which is ${reason}`);
    }
  }
  return addresses;
}

function denied(message: string): NeapError {
  return new NeapError("EGRESS_DENIED", message);
}

function refusal(address: string, isNamed: boolean, port: number, rules: DestinationRules, network: Network): string | null {
  const bytes = addressBytes(address);
  const kind = bytes === null ? "special" : addressKind(bytes);
  if (rules.ownPorts.includes(port) && (kind === "loopback" || isOwn(address, network))) {
    return "this host's own";
  }
  switch (kind) {
    case "public":
      return null;
    case "private":
    case "loopback":
      return isNamed || rules.allowPrivate
        ? null
        : `a ${kind} one: allow it by --egress-allow ${address}, or --egress-allow-private`;
    case "linkLocal":
      return isNamed ? null : `a link-local one: allow it by --egress-allow ${address}`;
    case "special":
      return "a special one";
  }
}

function isOwn(address: string, network: Network): boolean {
  const wanted = canonicalAddress(address);
  return network.ownAddresses().some((own) => canonicalAddress(own) === wanted);
}

async function resolved(name: string, network: Network): Promise<readonly string[]> {
  let addresses: readonly string[];
  try {
    addresses = await network.resolve(name);
  } catch (cause) {
    throw new NeapError("EGRESS_UNRESOLVED", `no server of names answered for ${name}`, { cause });
  }
  if (addresses.length === 0 || addresses.length > ADDRESSES_MAX) {
    throw new NeapError("EGRESS_UNRESOLVED", `${name} has ${addresses.length} addresses, must have 1 to ${ADDRESSES_MAX}`);
  }
  return addresses;
}
