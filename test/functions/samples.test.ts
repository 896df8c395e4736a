import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { logTrimArgs } from "../../host/abi/log-messages.ts";
import { Operation } from "../../host/abi/operations.ts";
import { MemoryHost } from "../support/memory-guest.ts";
import { sampleModules } from "../support/sample-functions.ts";

let modules: ReadonlyMap<string, WebAssembly.Module>;
let host: MemoryHost;

beforeAll(async () => {
  modules = await sampleModules();
});

beforeEach(() => {
  host = new MemoryHost();
  for (const [path, module] of modules) {
    host.functions.set(path.split("/")[1] ?? path, module);
  }
});

/** What the function answers: its return value, and its output or the message of its trap. */
async function answer(name: string, input: string): Promise<[number, string]> {
  const module = host.functions.get(name);
  if (module === undefined) {
    throw new Error(`no sample function ${name}`);
  }
  const { value, output, trap } = await host.run(module, input);
  return [value, trap ?? Buffer.from(output).toString()];
}

describe("hello", () => {
  it("greets by name, or the world", async () => {
    expect(await answer("hello", "Ada")).toEqual([0, "Hello, Ada!"]);
    expect(await answer("hello", "")).toEqual([0, "Hello, world!"]);
  });

  it("imports nothing that may suspend, so that it needs no stack of its own", () => {
    const module = modules.get("hello/hello");
    const imported = module === undefined ? [] : WebAssembly.Module.imports(module).map(({ name }) => name);
    expect(imported.sort()).toEqual(["abort", "input_read", "input_size", "output_write"]);
  });
});

describe("counter", () => {
  it("counts by one, or by the amount", async () => {
    expect(await answer("counter", "visits")).toEqual([0, "1"]);
    expect(await answer("counter", "visits 41")).toEqual([0, "42"]);
    expect(await answer("counter", "visits -2")).toEqual([0, "40"]);
    expect(host.text("visits")).toBe("40");
  });

  it("counts again when another call was faster", async () => {
    let others = 2;
    host.beforeUpdate = () => {
      if (others > 0) {
        others -= 1;
        host.put("visits", `${10 * (2 - others)}`);
      }
    };
    expect(await answer("counter", "visits")).toEqual([0, "21"]);
  });

  it("says how to use it, and does not overwrite what is no counter", async () => {
    const usage = [2, "usage: <key> [<whole number>]"];
    for (const input of ["", "visits x", "visits 1.5", "visits 1 2"]) {
      expect(await answer("counter", input)).toEqual(usage);
    }
    host.put("text", "not a number");
    const [value, message] = await answer("counter", "text");
    expect([value, message.split(" at ")[0]]).toEqual([1, "the object is not a counter"]);
    expect(host.text("text")).toBe("not a number");
  });
});

describe("fetch", () => {
  it("gets, or posts a text, and says what came of it", async () => {
    host.outside = ({ method, url, body }) => ({
      status: url === "http://a/" ? 200 : 404,
      head: "",
      body: Buffer.from(`${method} ${Buffer.from(body)}`),
    });
    expect(await answer("fetch", "http://a/")).toEqual([0, "200 GET "]);
    expect(await answer("fetch", "http://b/ text")).toEqual([1, "404 POST text"]);
  });

  it("says why there is no answer, and how to use it", async () => {
    expect(await answer("fetch", "http://a/")).toEqual([1, "EGRESS_DENIED: nowhere"]);
    expect(await answer("fetch", "")).toEqual([2, "usage: <url> [<text to post>]"]);
  });
});

describe("feed", () => {
  it("appends, and pages through without gaps, from what is left on", async () => {
    for (let i = 1; i <= 12; i++) {
      expect(await answer("feed", `add news entry ${i}`)).toEqual([0, `${i}`]);
    }
    expect(await answer("feed", "add other else")).toEqual([0, "13"]);
    const entries = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${from + i} entry ${from + i}\n`).join("");
    expect(await answer("feed", "page news")).toEqual([0, `${entries(1, 10)}next 11\n`]);
    expect(await answer("feed", "page news 11")).toEqual([0, `${entries(11, 12)}next 13\n`]);
    host.log.perform(Operation.logTrim, logTrimArgs.encode({ tag: "news", upTo: 8 }));
    expect(await answer("feed", "page news 3")).toEqual([0, `${entries(9, 12)}next 13\n`]);
  });

  it("ends with a message that names value and limit when the log refuses what it is given", async () => {
    const [, tooLarge] = await answer("feed", `add news ${"x".repeat(262_145)}`);
    expect(tooLarge).toContain("logbook.append('news'): the record has 262145 bytes, the limit is 262144");
    const [, badTag] = await answer("feed", `page ${"t".repeat(257)}`);
    expect(badTag).toContain("has 257 bytes, must have 1 to 256");
    const [, badSeqnum] = await answer("feed", "page news 9007199254740992");
    expect(badSeqnum).toContain("logbook.next: min is 9007199254740992, must be 0 to 9007199254740991");
    expect(host.log.records).toEqual([]);
  });

  it("says how to use it", async () => {
    for (const input of ["", "add", "add news", "page", "page news x", "page news -1", "page news 1 2"]) {
      expect(await answer("feed", input)).toEqual([2, "usage: add <feed> <text> | page <feed> [<from>]"]);
    }
    expect(host.log.records).toEqual([]);
  });
});

describe("transfer", () => {
  it("calls account twice and shows both balances", async () => {
    expect(await answer("account", "ada 100")).toEqual([0, "100"]);
    expect(await answer("transfer", "ada bob 30")).toEqual([0, "ada 70\nbob 30\n"]);
    expect([host.text("account/ada"), host.text("account/bob")]).toEqual(["70", "30"]);
  });

  it("fails when account fails", async () => {
    host.functions.delete("account");
    const [value, message] = await answer("transfer", "ada bob 30");
    expect([value, message.split(" at ")[0]]).toEqual([1, "call of 'account': there is no such function"]);
  });

  it("says how to use it", async () => {
    for (const input of ["", "ada bob", "ada bob 0", "ada bob -3", "ada bob x", " bob 3"]) {
      expect(await answer("transfer", input)).toEqual([2, "usage: <from> <to> <whole number above 0>"]);
    }
    expect(await answer("account", "ada")).toEqual([2, "usage: <name> <whole number>"]);
  });
});

describe("fanout", () => {
  it("gives one answer, and cancels all calls but that", async () => {
    const [value, text] = await answer("fanout", "hello ada bob cy");
    expect([value, text]).toEqual([0, expect.stringMatching(/^(ada: Hello, ada!|bob: Hello, bob!|cy: Hello, cy!)$/)]);
    expect(host.operations.filter((operation) => operation === Operation.callSelect)).toHaveLength(1);
    expect(host.operations.filter((operation) => operation === Operation.callCancel)).toHaveLength(2);
  });

  it("passes on how the function ended", async () => {
    expect(await answer("fanout", "account ada")).toEqual([2, "ada: usage: <name> <whole number>"]);
  });

  it("says how to use it", async () => {
    for (const input of ["", "hello", "hello  ada", `hello${" x".repeat(17)}`]) {
      expect(await answer("fanout", input)).toEqual([2, "usage: <function> <input> [<input> …], at most 16 inputs"]);
    }
  });
});

describe("bank", () => {
  it("opens accounts, moves money, and knows the sum", async () => {
    expect(await answer("bank", "open ada 100")).toEqual([0, "ada 100"]);
    expect(await answer("bank", "open bob 0")).toEqual([0, "bob 0"]);
    expect(await answer("bank", "move ada bob 30")).toEqual([0, "ada 70, bob 30"]);
    expect(await answer("bank", "move ada ada 30")).toEqual([0, "ada 70, ada 70"]);
    expect(await answer("bank", "total")).toEqual([0, "100"]);
  });

  it("changes nothing when there is too little money or no such account", async () => {
    await answer("bank", "open ada 100");
    expect(await answer("bank", "open ada 5")).toEqual([1, "ada has an account"]);
    expect(await answer("bank", "move ada bob 30")).toEqual([1, "no such account"]);
    await answer("bank", "open bob 1");
    expect(await answer("bank", "move bob ada 2")).toEqual([1, "bob has 1"]);
    expect([host.text("bank/ada"), host.text("bank/bob")]).toEqual(["100", "1"]);
  });

  it("computes again what another call got in the way of", async () => {
    await answer("bank", "open ada 100");
    await answer("bank", "open bob 0");
    let others = 1;
    host.beforeCommit = () => {
      others -= 1;
      if (others < 0) {
        return null;
      }
      host.put("bank/ada", "50");
      return "object bank/ada";
    };
    expect(await answer("bank", "move ada bob 30")).toEqual([0, "ada 20, bob 30"]);
  });

  it("says how to use it", async () => {
    for (const input of ["", "open ada", "open ada x", "open ada -1", "move ada bob", "total 1"]) {
      expect(await answer("bank", input)).toEqual([2, "usage: open <name> <amount> | move <from> <to> <amount> | total"]);
    }
  });
});

describe("ndp/put and ndp/get", () => {
  it("store what is behind the first space and give it back", async () => {
    expect(await answer("put", "key v1 v2 v3")).toEqual([0, "OK"]);
    expect(await answer("get", "key")).toEqual([0, "v1 v2 v3"]);
  });

  it("keep bytes as they are", async () => {
    const put = modules.get("ndp/put");
    const get = modules.get("ndp/get");
    const bytes = Buffer.from(Array.from({ length: 10_000 }, (_, at) => at & 0xff));
    if (put === undefined || get === undefined) {
      throw new Error("put and get are not built");
    }
    await host.run(put, Buffer.concat([Buffer.from("key "), bytes]));
    expect(Buffer.from((await host.run(get, "key")).output).equals(bytes)).toBe(true);
  });

  it("say what is wrong", async () => {
    expect(await answer("put", "key")).toEqual([2, "usage: <key> <value>"]);
    expect(await answer("get", "nothing")).toEqual([0, "FAILED - no object found with key 'nothing'"]);
  });
});

describe("ndp/wordcount", () => {
  const expected = (text: string) => {
    const counts = new Map<string, number>();
    for (const word of text.split(/[\0- ]+/).filter((found) => found !== "")) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const words = [...counts.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return words.map((word) => `${word}\t${counts.get(word)}\n`).join("");
  };

  const texts: readonly [string, string][] = [
    ["nothing", ""],
    ["only spaces", " \n\t \0 "],
    ["one word without an end", "word"],
    ["words with bytes above ASCII", "über Über über ａ ascii"],
    ["prefixes of each other", "b a ab abc aba ab "],
    ["a word that is longer than a slice", `a ${"long".repeat(200_000)} a`],
    ["words across slice borders", "0123456 ".repeat(100_001)],
    [
      "more words than the table has room for at first",
      Array.from({ length: 20_000 }, (_, i) => `w${(i * 7) % 9_001}`).join(" "),
    ],
  ];
  for (const [what, text] of texts) {
    it(`counts ${what}`, async () => {
      host.put("key", text);
      expect(await answer("wordcount", "key")).toEqual([0, expected(text)]);
    });
  }

  it("says when there is no such object", async () => {
    expect(await answer("wordcount", "key")).toEqual([1, "there is no object 'key'"]);
  });
});

describe("storage parts leave little memory changed, as that is what travels back", () => {
  const PAGE_BYTES = 4096;

  for (const [name, input] of [
    ["wordcount", "key"],
    ["grep", "key none"],
  ] as const) {
    it(`ndp/${name} on 2 MB of text changes at most 8 pages`, async () => {
      const module = modules.get(`ndp/${name}`);
      if (module === undefined) {
        throw new Error(`ndp/${name} is not built`);
      }
      const before = (await host.run(module, input)).memory;
      host.put("key", "one two three\n".repeat(150_000));
      const after = (await host.run(module, input)).memory;
      expect(after.byteLength).toBe(before.byteLength);
      let changed = 0;
      for (let page = 0; page < after.byteLength; page += PAGE_BYTES) {
        changed +=
          Buffer.compare(before.subarray(page, page + PAGE_BYTES), after.subarray(page, page + PAGE_BYTES)) === 0 ? 0 : 1;
      }
      expect(changed).toBeLessThanOrEqual(8);
    });
  }
});

describe("ndp/grep", () => {
  it("finds the positions of a text, in bytes, without overlaps", async () => {
    host.put("key", "é abab ababab ab");
    expect(await answer("grep", "key ab")).toEqual([0, "3 5 8 10 12 15"]);
    expect(await answer("grep", "key abab")).toEqual([0, "3 8"]);
    expect(await answer("grep", "key b a")).toEqual([0, "6 13"]);
    expect(await answer("grep", "key abc")).toEqual([0, ""]);
  });

  it("finds matches across slice borders, and ones that begin inside a failed one", async () => {
    const text = `${"x".repeat(256 * 1024 - 3)}aaab${"x".repeat(256 * 1024 - 2)}aab`;
    host.put("key", text);
    expect(await answer("grep", "key aab")).toEqual([0, `${text.indexOf("aab")} ${text.lastIndexOf("aab")}`]);
  });

  it("says what is wrong", async () => {
    expect(await answer("grep", "key")).toEqual([2, "usage: <key> <text to find>"]);
    expect(await answer("grep", "key ")).toEqual([2, "usage: <key> <text to find>"]);
    expect(await answer("grep", "key a")).toEqual([1, "there is no object 'key'"]);
  });
});
