/** Where a tenant's requests may go, by name. */
import { isIP } from "node:net";

export interface AllowEntry {
  /** Null: either. */
  readonly scheme: "http:" | "https:" | null;
  /** As a URL has it: lower case, Unicode names as ASCII, addresses in their usual form. */
  readonly host: string;
  /** `below`: names that end with a dot and `host`. `any`: every host, and `host` is "*". */
  readonly covers: "host" | "below" | "any";
  /** Null: the scheme's own. */
  readonly port: number | null;
}

export type AllowList = readonly AllowEntry[];

export const ALLOW_ENTRY_RULE = "host, host:port, *.example.com or *, with http:// or https:// in front of it if need be";

const ENTRY = /^(?:(https?:)\/\/)?(\*|(?:\*\.)?[^*:/?#@[\]\s]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/;

/** Null when the text is not as ALLOW_ENTRY_RULE says. */
export function allowEntry(text: string): AllowEntry | null {
  const [matched, scheme = null, name = "", port] = ENTRY.exec(text) ?? [];
  if (matched === undefined || (port !== undefined && (Number(port) === 0 || Number(port) > 65_535))) {
    return null;
  }
  const covers = name === "*" ? "any" : name.startsWith("*.") ? "below" : "host";
  const plain = covers === "below" ? name.slice(2) : name;
  const url = `http://${plain}/`;
  const host = covers === "any" ? "*" : URL.canParse(url) ? hostOf(new URL(url)) : "";
  if (host === "" || (covers === "below" && isIP(host) !== 0)) {
    return null;
  }
  return { scheme: scheme as AllowEntry["scheme"], host, covers, port: port === undefined ? null : Number(port) };
}

/** The host of a URL without brackets and without the dot at the end of a full name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$|\.$/g, "");
}

export function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

/** `named`: an entry has exactly this host, and no pattern. */
export function allowed(list: AllowList, url: URL): "no" | "covered" | "named" {
  const entries = list.filter((entry) => covers(entry, url));
  return entries.some((entry) => entry.covers === "host") ? "named" : entries.length > 0 ? "covered" : "no";
}

function covers(entry: AllowEntry, url: URL): boolean {
  const { scheme, port } = entry;
  const portFits = port === null ? url.port === "" : port === portOf(url);
  if (!portFits || (scheme !== null && scheme !== url.protocol)) {
    return false;
  }
  const host = hostOf(url);
  switch (entry.covers) {
    case "any":
      return true;
    case "below":
      return host.endsWith(`.${entry.host}`);
    case "host":
      return host === entry.host;
  }
}
