import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileFunction } from "../../../functions/build.ts";
import { MemoryHost } from "../../support/memory-guest.ts";

const SOURCE = join(import.meta.dirname, "assembly", "everything.ts");
const EXPECTED = `input: text é
absent: null
get: äöü
size: 6
large: 3000000 7 7
piece: 5 0
exists: false
list: 600 0
update: 111
call: 3 10000 false
both: 20000
select: true
cancel: true cancelled false
third: 10000
spawn: 1-spawned1 1-spawned2
part: 5 6
append: 1 false feed two
large record: true 10000
next: one two
await: true
trim: true 1 true
close: true true
tail: 4 3 true
gone: 4 0
set: 11 true false
run: 2 once once
refused: false object in once
lock: true true 0
http: 404 false 3000000 é
no answer: 0 EGRESS_DENIED once
posted: POST,http://there/,Content-Type: text/plain; charset=utf-8,éGET,http://there/,,
clock: true true
random: true 16
seeded: true
end`;

describe("a function that uses all of the SDK gets what its documentation says", () => {
  for (const runtime of ["stub", "minimal"]) {
    it(`with --runtime ${runtime}`, async () => {
      const host = new MemoryHost();
      const module = new WebAssembly.Module(await compileFunction(SOURCE, ["--runtime", runtime]));
      host.functions.set("everything", module);
      host.lockedByOthers.add("taken");
      host.objectMaxBytes = 3_500_000;
      // The first and the last commit are refused.
      let commits = 0;
      host.beforeCommit = () => {
        commits += 1;
        return commits === 2 ? null : "object in";
      };
      host.outside = ({ method, url, headers, once, body }) => {
        const text = Buffer.from(body).toString();
        if (url === "http://nowhere/") {
          return { status: "EGRESS_DENIED", head: "", body: Buffer.from(once ? "once" : "") };
        }
        return url === "http://there/x" && `${method} ${headers} ${text}` === "PUT X-A: b\nX-C: d AAA"
          ? { status: 404, head: "A: 1\nX-Long: é", body: Buffer.alloc(3_000_000) }
          : { status: 200, head: "", body: Buffer.from([method, url, headers, text].join()) };
      };
      const { trap, value, output } = await host.run(module, "text é");
      expect({ trap, output: Buffer.from(output).toString(), value }).toEqual({ trap: null, output: EXPECTED, value: 0 });
      expect(host.logs).toEqual(["a line", "traced 1 2.5"]);
      expect(host.sleptMs).toBe(1234);
      expect(host.spawned.map(({ input, delayMs }) => [input, delayMs])).toEqual([
        ["now", 0],
        ["later", 5],
        ["posted", 6],
      ]);
      for (const [wrong, trap] of [
        ["fail", "größer als 😀"],
        ["unlock", "unlock of 'never': this function does not hold it"],
        ["commit", "transaction.commit: this function has begun no transaction"],
        ["wrong key", `objects.get: '${"k".repeat(64)}' of 1025 bytes is not a key: 1 to 1024 bytes without control characters`],
        ["wrong offset", "objects.read: offset is -1, must be 0 or more"],
        ["wrong lock", "lock: 'a\nb' of 3 bytes is not a name: 1 to 1024 bytes without control characters"],
        ["wrong isolation", "transaction.run: isolation is 3, must be 0 (serializable), 1 (snapshot) or 2 (read-atomic)"],
        ["wrong value", "objects.put: 'x': 3500000 bytes may be"],
        ["wrong long", `logbook.append: tag '${"t".repeat(64)}' has 257 bytes, must have 1 to 256`],
        ["wrong empty", "logbook.tail: tag '' has 0 bytes, must have 1 to 256"],
        ["wrong control", "logbook.next: tag 'a\nb' has the control character, or half of another, 10"],
        ["wrong half", "has the control character, or half of another, 55296"],
        ["wrong tags", "logbook.append: tags holds 17, must hold 1 to 16"],
        ["wrong no tags", "logbook.append: tags holds 0, must hold 1 to 16"],
        ["wrong twice", "logbook.append: tag 'a' is twice in tags"],
        ["wrong low", "logbook.append: condition: length of 'a' is -1, must be 0 to 9007199254740991"],
        ["wrong high", "logbook.append: condition: last of 'b' is 9007199254740992, must be 0 to 9007199254740991"],
        ["wrong of none", "logbook.append: condition: tag '' has 0 bytes, must have 1 to 256"],
        ["wrong conditions", "logbook.append: when holds 17 conditions, must hold at most 16"],
        ["wrong large", "logbook.post('feed'): the record has 262145 bytes, the limit is 262144"],
        ["wrong prev", "logbook.prev: max is -1, must be 0 to 9007199254740991"],
        ["wrong next", "logbook.awaitNext: min is -9223372036854775808, must be 0 to 9007199254740991"],
        ["wrong trim", "logbook.trim: upTo is -1, must be 0 to 9007199254740991"],
        ["wrong trim all", "logbook.trimAll: upTo is 9223372036854775807, must be 0 to 9007199254740991"],
      ] as const) {
        expect(await host.run(module, wrong)).toMatchObject({ trap: expect.stringContaining(trap), value: 1 });
      }
    });
  }
});
