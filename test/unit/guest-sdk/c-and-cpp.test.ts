/** Functions that use all of neap.h and of neap.hpp get what these say: uploaded, in real sandboxes, pushed down and not. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileWithClang, findClang } from "../../../functions/clang.ts";
import { ProcessStarter } from "../../../host/processes/index.ts";
import type { SandboxPool } from "../../../host/sandbox/index.ts";
import { NeapError } from "../../../state/errors.ts";
import { logBookId } from "../../../state/ids.ts";
import { readAll } from "../../support/call-bytes.ts";
import { ScriptedEgress } from "../../support/scripted-egress.ts";
import { noRemains, testPool, World } from "../../support/world.ts";

const EXPECTED = {
  c: `input: text é 7
absent: 1 -1
get: ä text 7
large: 3000000 0
piece: 5 0 -1
removed: -1
list: many/000/${"0".repeat(50)}:1 many/001/${"0".repeat(50)}:1 600 600 0
update: 1 1 0 1 1
call: 3 10000
select: 1
await: 3 10000
cancel: 0
spawn: 1
part: 5 7 1
clock: 1
random: 1 1
end
`,
  cpp: `input: text é
absent: none
get: ä text 7
large: 3000000
piece: 5
removed: -1
list: 600 many/1599 0
update: 1 11
call: 3 10000
select: one
await: 20000
cancel: ended
spawn: id
part: 5 from the part, longer than what lies in the string itself 2
end: 
`,
} as const;

const SERVICES = `run: 15 15 1
nested: 20
aborted: 20 ''
lock: 1 1 1
append: 1 1 1 feed 1
gap: 1 1
read: three 10000 0 1
none: 1 0
close: end 1 1 1
trim: 3 1 1 1
trim all: 1
http: 200 GET http://there/a 1 | POST http://there/b 2
header: text/plain 1
denied: 0 EGRESS_DENIED 1
large: 100000 
end
`;

const REGIONS = `none: 0
open: 1 64
copy: 100000 0123456789
access: 2.5 0 7
lock: 0 0
wait: 1 1 0
push: 01234012899
pull: 11 -1
snapshot: 2340
end
`;

const clang = findClang();
const egress = new ScriptedEgress();

describe.skipIf(clang === null)("a function that uses all of the headers gets what they say", () => {
  let pool: SandboxPool;
  let world: World;
  let starter: ProcessStarter;
  beforeAll(async () => {
    pool = await testPool();
    starter = await ProcessStarter.open();
    world = await World.open(pool, noRemains(), () => null, egress, { starter });
  }, 60_000);
  afterAll(async () => {
    await world?.close();
    await pool?.close();
    await starter?.close();
  });

  it.each(["c", "cpp"] as const)("%s, which compiles without a warning", { timeout: 200_000 }, async (language) => {
    const source = join(import.meta.dirname, "src", `everything.${language}`);
    const module = await compileWithClang(clang, source, ["-Wpedantic", "-Werror"]);
    for (const forbid of [false, true]) {
      const tenant = logBookId(`${language}-${forbid}`);
      await world.upload(tenant, "everything", module);
      const told = async (input: string) => {
        const answer = await world.call({ tenant, functionName: "everything", input, forbid });
        return answer.kind === "completed"
          ? (answer.result.trap ?? (await readAll(answer.result.output)).toString())
          : JSON.stringify(answer);
      };
      expect(await told("text é")).toBe(EXPECTED[language]);
      expect(await told("fail")).toBe("größer als 😀");
    }
  });

  async function uploadC(name: string): Promise<(input: string) => Promise<string>> {
    const tenant = logBookId(`c-${name}`);
    const options = ["-Wpedantic", "-Werror"];
    await world.upload(tenant, name, await compileWithClang(clang, join(import.meta.dirname, "src", `${name}.c`), options));
    return async (input) => {
      const answer = await world.call({ tenant, functionName: name, input });
      return answer.kind === "completed"
        ? (answer.result.trap ?? (await readAll(answer.result.output)).toString())
        : JSON.stringify(answer);
    };
  }

  it("C with transactions, locks, the log and requests", { timeout: 200_000 }, async () => {
    egress.answer = ({ method, url }) => {
      if (url === "http://nowhere/") {
        throw new NeapError("EGRESS_DENIED", "not there");
      }
      const body = url.endsWith("large") ? "x".repeat(100_000) : `${method} ${url} ${egress.sent.length}`;
      return { status: 200, headers: [["Content-Type", "text/plain"]], body };
    };
    const told = await uploadC("services");
    expect(await told("")).toBe(SERVICES);
    const [refused] = await Promise.all([told("reader"), told("writer")]);
    expect(refused).toBe("refused: 0 'object x' 1 2 1\n");
    expect(await told("fail")).toBe("lock: 'not held' is not held by this function");
    expect(await told("commit")).toBe("transaction: 'commit' is not possible: this function has begun no transaction");
    expect(await told("many")).toBe("transaction: 'commit' is not possible: 301 objects written, 300 may be");
    expect(await told("many and a read")).toMatch(
      /^neap_get: 'many\/0' is not possible: the transaction is too large: 301 objects written, 300 may be$/,
    );
    for (const [which, why] of [
      ["key", "neap_get: '' the size of the name is 0, must be 1 to 1024 bytes"],
      ["key text", "neap_put: 'a\nb' has a control character, or is not UTF-8"],
      ["offset", "neap_read: 'x' offset is -1, must be 0 or more"],
      ["lock", "lock: '' the size of the name is 0, must be 1 to 1024 bytes"],
      ["isolation", "transaction: 'begin' isolation is 3, must be 0 (serializable), 1 (snapshot) or 2 (read-atomic)"],
    ]) {
      expect(await told(`wrong ${which}`)).toBe(why);
    }
    for (const [which, why] of [
      ["long", `'${"t".repeat(257)}' the size of the tag is 257, must be 1 to 256 bytes`],
      ["empty", "'' the size of the tag is 0, must be 1 to 256 bytes"],
      ["control", "'a\nb' is not a tag: it has a control character"],
      ["no text", "'\ufffd' is not a tag: it is not UTF-8"],
      ["tags", "'first' the number of tags is 17, must be 1 to 16"],
      ["no tags", "'' the number of tags is 0, must be 1 to 16"],
      ["twice", "'a' is twice among the tags"],
      ["low", "'feed' length is -1, must be 0 to 9007199254740991"],
      ["high", "'feed' last seqnum is 9007199254740992, must be 0 to 9007199254740991"],
      ["conditions", "'feed' the number of conditions is 17, must be at most 16"],
      ["large", "'feed' the size of the record is 262145, must be at most 262144 bytes"],
      ["next", "'feed' min is -9223372036854775808, must be 0 to 9007199254740991"],
      ["trim", "'feed' up_to is -1, must be 0 to 9007199254740991"],
      ["trim all", "'all' up_to is 9223372036854775807, must be 0 to 9007199254740991"],
    ]) {
      expect(await told(`wrong ${which}`)).toBe(`log stream: ${why}`);
    }
  });

  it("C that maps an object before it allocates anything gets memory beside it", { timeout: 200_000 }, async () => {
    const told = await uploadC("early-map");
    expect(await told("")).toBe("4194304 bytes are mapped, beside what is allocated\n");
  });

  it("C with memory regions", { timeout: 200_000 }, async () => {
    const told = await uploadC("regions");
    expect(await told("")).toBe(REGIONS);
    expect(await told("outside")).toContain("access to 1 bytes at 8 is outside of the memory region");
    expect(await told("unlock")).toBe("memory region: 'unlock' is not locked by this call");
  });
});
