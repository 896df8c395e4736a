import { describe, expect, test } from "vitest";
import { readTenants, Tenancy } from "../../../../host/tenancy/index.ts";
import { PRESET_LIMITS } from "../../../support/test-tenancy.ts";

const FILE = readTenants(
  "tenants.json",
  JSON.stringify({
    acme: { limits: { wallTimeMs: 60_000, memoryMaxPages: 8000, tenantMaxSandboxes: 7 } },
    small: { limits: { wallTimeMs: 10, tenantMaxCalls: 1 } },
    "*": { limits: { cpuTimeMs: 5, memoryMaxPages: 100 } },
  }),
);
const host = { ...PRESET_LIMITS, wallTimeMs: 1000, cpuTimeMs: 100 };
const tenancy = new Tenancy(FILE, host);

describe("a tenant's limits", () => {
  test("are its own entry's, else those of *, else the host's options", () => {
    expect(tenancy.of("acme").limits).toEqual({
      ...host,
      cpuTimeMs: 5,
      wallTimeMs: 60_000,
      memoryMaxPages: 8000,
      tenantMaxSandboxes: 7,
    });
    expect(tenancy.of("nobody").limits).toEqual({ ...host, cpuTimeMs: 5, memoryMaxPages: 100 });
    expect(new Tenancy(new Map(), host).of("nobody").limits).toEqual(host);
  });

  test("are kept by one object", () => {
    expect(tenancy.of("acme")).toBe(tenancy.of("acme"));
    expect(tenancy.of("acme").limits.tenantMaxSandboxes).toBe(7);
  });
});

describe("a call's limits", () => {
  test("are the host's options without limits of the function's own, or its tenant's if they are less", () => {
    expect(tenancy.of("acme").callLimits(null)).toMatchObject({ wallTimeMs: 1000, cpuTimeMs: 5 });
    expect(tenancy.of("small").callLimits(null)).toMatchObject({ wallTimeMs: 10, cpuTimeMs: 5 });
  });

  test("are the function's own, which may be above the host's options, up to the tenant's", () => {
    const limits = (own: Record<string, number>) => tenancy.of("acme").callLimits(own);
    expect(limits({ wallTimeMs: 50_000 })).toMatchObject({ wallTimeMs: 50_000, cpuTimeMs: 5 });
    expect(limits({ wallTimeMs: 5 })).toMatchObject({ wallTimeMs: 5 });
    expect(limits({ wallTimeMs: 90_000 })).toMatchObject({ wallTimeMs: 60_000 });
  });

  test("are worked out once", () => {
    const own = { wallTimeMs: 5 };
    expect(tenancy.of("acme").callLimits(own)).toBe(tenancy.of("acme").callLimits(own));
    expect(tenancy.of("acme").callLimits(null)).toBe(tenancy.of("acme").callLimits(null));
  });
});

test("a module may be as large as its tenant's limits allow, and as its function's own", () => {
  expect(tenancy.of("acme").uploadLimits(null).memoryMaxPages).toBe(8000);
  expect(tenancy.of("acme").uploadLimits({ memoryMaxPages: 16 }).memoryMaxPages).toBe(16);
  expect(tenancy.of("nobody").uploadLimits({ memoryMaxPages: 200 }).memoryMaxPages).toBe(100);
});

test("a function's limit above its tenant's is refused with both", () => {
  expect(() => tenancy.of("acme").checkOwn({ wallTimeMs: 60_000 })).not.toThrow();
  expect(() => tenancy.of("acme").checkOwn({ wallTimeMs: 60_001 })).toThrow(
    expect.objectContaining({
      code: "BAD_REQUEST",
      message: "limits.wallTimeMs is 60001 ms, the limit of tenant acme is 60000",
    }),
  );
});

test("no further call begins when as many are under way as there may be", () => {
  const small = tenancy.of("small");
  small.checkMayBegin();
  small.calls = 1;
  expect(() => small.checkMayBegin()).toThrow(expect.objectContaining({ code: "OVERLOADED" }));
});
