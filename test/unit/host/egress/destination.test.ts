import { describe, expect, it, test } from "vitest";
import { type AllowList, allowEntry } from "../../../../host/egress/allow-list.ts";
import { type DestinationRules, destination } from "../../../../host/egress/destination.ts";

const OWN_PORT = 8080;

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "public.example": ["93.184.216.34", "2606:2800:220:1::1"],
  "inside.example": ["10.1.2.3"],
  "mixed.example": ["93.184.216.34", "127.0.0.1"],
  "mapped.example": ["::ffff:169.254.169.254"],
  "loop.example": ["127.0.0.1"],
  "self.example": ["192.168.7.7"],
  "many.example": Array.from({ length: 33 }, (_, i) => `93.184.216.${i}`),
  "nobody.example": [],
};

function list(entries: string): AllowList {
  return entries.split(" ").map((text) => {
    const entry = allowEntry(text);
    if (entry === null) {
      throw new Error(text);
    }
    return entry;
  });
}

/** The addresses, or the error's code. */
async function reach(url: string, entries: string, rules: Partial<DestinationRules> = {}): Promise<string> {
  const network = {
    resolve: async (name: string) => {
      const found = NAMES[name];
      if (found === undefined) {
        throw new Error("SERVFAIL");
      }
      return found;
    },
    ownAddresses: () => ["127.0.0.1", "::1", "192.168.7.7", "93.184.216.99"],
  };
  try {
    const found = await destination(
      new URL(url),
      { list: list(entries), allowPrivate: false, ownPorts: [OWN_PORT], ...rules },
      network,
    );
    return found.join(" ");
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("entries of the allow-list", () => {
  test.each([
    ["public.example", "http://public.example/ https://public.example/ http://PUBLIC.example./"],
    ["public.example", "no http://public.example:81/ http://a.public.example/ http://xpublic.example/"],
    ["public.example:81", "http://public.example:81/ https://public.example:81/"],
    ["public.example:81", "no http://public.example/ http://public.example:82/"],
    ["public.example:80", "http://public.example/"],
    ["https://public.example", "https://public.example/"],
    ["https://public.example", "no http://public.example/ https://public.example:444/"],
    ["*.example", "http://public.example/"],
    ["*.public.example", "no http://public.example/ http://xpublic.example/"],
    ["*", "http://public.example/ https://public.example/"],
    ["*", "no http://public.example:81/"],
    ["*:81", "http://public.example:81/"],
  ])("%s: %s", async (entries, urls) => {
    const [first = "", ...rest] = urls.split(" ");
    const wanted = first === "no" ? "EGRESS_DENIED" : NAMES["public.example"]?.join(" ");
    for (const url of first === "no" ? rest : [first, ...rest]) {
      expect([url, await reach(url, entries)]).toEqual([url, wanted]);
    }
  });

  it("are refused when they are none", () => {
    const none = [
      "",
      "http://",
      "ftp://a",
      "a b",
      "a/b",
      "a:0",
      "a:65536",
      "a:x",
      "*a.b",
      "a.*",
      "u@a",
      "[::1",
      "::1",
      "*.10.0.0.1",
      "*.",
      "a?b",
    ];
    expect(none.filter((text) => allowEntry(text) !== null)).toEqual([]);
  });

  it("are compared as a URL has them", () => {
    expect(allowEntry("BÜCHER.example")?.host).toBe("xn--bcher-kva.example");
    expect(allowEntry("[::FFFF:127.0.0.1]:80")).toEqual({ scheme: null, host: "::ffff:7f00:1", covers: "host", port: 80 });
    expect(allowEntry("0x7f.1")?.host).toBe("127.0.0.1");
  });
});

describe("addresses", () => {
  it("with nothing allowed there is nowhere to go", async () => {
    expect(await reach("http://public.example/", "other.example")).toBe("EGRESS_DENIED");
  });

  it("a name with a private, loopback or link-local address, however it is written, is refused, also when another address is public", async () => {
    for (const name of ["inside", "mixed", "mapped", "loop"]) {
      expect([name, await reach(`http://${name}.example/`, "*.example")]).toEqual([name, "EGRESS_DENIED"]);
    }
  });

  it("plain addresses in every notation are what they are", async () => {
    const loopback = [
      "127.0.0.1",
      "2130706433",
      "0x7f000001",
      "017700000001",
      "127.1",
      "0177.0.0.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[64:ff9b::7f00:1]",
      "[2002:7f00:1::]",
    ];
    const others = ["0.0.0.0", "0", "[::]", "169.254.169.254", "10.0.0.1", "[fe80::1]", "[fd00::1]", "255.255.255.255"];
    for (const host of [...loopback, ...others]) {
      expect([host, await reach(`http://${host}/`, "*")]).toEqual([host, "EGRESS_DENIED"]);
    }
  });

  it("private ones are reached when exactly they are listed, with their port; a pattern is not enough", async () => {
    expect(await reach("http://10.0.0.5:8081/", "10.0.0.5:8081")).toBe("10.0.0.5");
    expect(await reach("http://10.0.0.5:8082/", "10.0.0.5:8081")).toBe("EGRESS_DENIED");
    expect(await reach("http://10.0.0.6:8081/", "10.0.0.5:8081 *:8081")).toBe("EGRESS_DENIED");
    expect(await reach("http://169.254.169.254/", "169.254.169.254")).toBe("169.254.169.254");
    expect(await reach("http://[::1]:81/", "[::1]:81")).toBe("::1");
    expect(await reach("http://inside.example/", "inside.example 10.1.2.3")).toBe("EGRESS_DENIED");
    expect(await reach("http://0.0.0.0:81/", "0.0.0.0:81")).toBe("EGRESS_DENIED");
  });

  it("private ones of names are reached when that is allowed, link-local ones not", async () => {
    const rules = { allowPrivate: true };
    expect(await reach("http://inside.example/", "*.example", rules)).toBe("10.1.2.3");
    expect(await reach("http://mixed.example/", "*.example", rules)).toBe("93.184.216.34 127.0.0.1");
    expect(await reach("http://mapped.example/", "*.example", rules)).toBe("EGRESS_DENIED");
    expect(await reach("http://169.254.169.254/", "*", rules)).toBe("EGRESS_DENIED");
  });

  it("nothing leads to a port of this process, whatever is allowed", async () => {
    const rules = { allowPrivate: true };
    const hosts = [
      "127.0.0.1",
      "127.0.0.9",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "192.168.7.7",
      "loop.example",
      "self.example",
      "[64:ff9b::5db8:d863]",
      "[2002:5db8:d863::]",
    ];
    for (const host of hosts) {
      expect([host, await reach(`http://${host}:${OWN_PORT}/`, `*:${OWN_PORT} ${host}:${OWN_PORT}`, rules)]).toEqual([
        host,
        "EGRESS_DENIED",
      ]);
      expect([host, await reach(`http://${host}:81/`, "*:81", rules)]).not.toEqual([host, "EGRESS_DENIED"]);
    }
  });

  it("a name without an address, with too many, or that no server answers for, is not resolved", async () => {
    for (const name of ["nobody", "many", "unknown"]) {
      expect([name, await reach(`http://${name}.example/`, "*")]).toEqual([name, "EGRESS_UNRESOLVED"]);
    }
  });

  it("a refusal names host, port and option", async () => {
    const asked = destination(
      new URL("https://a.example/"),
      { list: [], allowPrivate: false, ownPorts: [] },
      {
        resolve: async () => [],
        ownAddresses: () => [],
      },
    );
    await expect(asked).rejects.toThrow(
      'a.example, port 443 by https is not among the hosts that --egress-allow, or "egress" of the tenant in --tenants-file, lists',
    );
  });
});
