import { describe, expect, test } from "vitest";
import { LIMIT_NAMES, LIMITS, readTenants } from "../../../../host/tenancy/index.ts";

const read = (file: unknown) => readTenants("--tenants-file t.json", typeof file === "string" ? file : JSON.stringify(file));

test("the file's entries are read by tenant, and * for all others", () => {
  const tenants = read({ acme: { limits: { wallTimeMs: 1000, callMaxDepth: 0 } }, "*": { limits: { cpuTimeMs: 5 } }, idle: {} });
  expect([...tenants]).toEqual([
    ["acme", { limits: { wallTimeMs: 1000, callMaxDepth: 0 } }],
    ["*", { limits: { cpuTimeMs: 5 } }],
    ["idle", {}],
  ]);
  expect(read({ acme: { egress: ["a:1", "*.b"] } }).get("acme")).toEqual({ egress: ["a:1", "*.b"] });
  expect(read({}).size).toBe(0);
});

test("every limit may be given, from its least to its greatest value", () => {
  for (const name of LIMIT_NAMES) {
    const { minimum, maximum } = LIMITS[name].shape as { minimum?: number; maximum?: number };
    for (const value of [minimum, maximum]) {
      expect(read({ acme: { limits: { [name]: value } } }).get("acme")).toEqual({ limits: { [name]: value } });
    }
    for (const value of [(minimum ?? 0) - 1, (maximum ?? 0) + 1, 1.5, "1", null]) {
      expect(() => read({ acme: { limits: { [name]: value } } })).toThrow(`acme.limits.${name} = `);
    }
  }
});

describe("a mistake ends the start with BAD_OPTION that names file, field, value and what it must be", () => {
  test.each([
    ["{", "--tenants-file t.json is not JSON"],
    ["[]", "--tenants-file t.json must be an object"],
    [{ acme: 1 }, 'has acme = "1", must be an object'],
    [{ "../x": {} }, 'names the tenant "../x", must be "*" or'],
    [{ acme: { limit: {} } }, "has acme.limit, which is none of limits, isolation, egress"],
    [{ acme: { isolation: "none" } }, 'has acme.isolation = "\\"none\\"", must be: auto | threads | process'],
    [{ acme: { egress: "a" } }, 'has acme.egress = "\\"a\\"", must be: list of texts, each host, host:port'],
    [{ acme: { egress: ["a", "a:0"] } }, "must be: list of texts"],
    [{ acme: { limits: [] } }, 'has acme.limits = "[]", must be an object'],
    [{ acme: { limits: { wallTime: 1 } } }, "has acme.limits.wallTime, which is none of moduleMaxBytes, "],
    [{ acme: { limits: { wallTimeMs: 0 } } }, 'has acme.limits.wallTimeMs = "0", must be: whole number from 1 to 86400000'],
    ['{"acme": {"limits": {"__proto__": 1}}}', "has acme.limits.__proto__, which is none of"],
  ])("%j", (file, message) => {
    expect(() => read(file)).toThrow(expect.objectContaining({ code: "BAD_OPTION", message: expect.stringContaining(message) }));
  });
});
