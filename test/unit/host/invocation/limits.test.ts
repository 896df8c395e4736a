import { describe, expect, it } from "vitest";
import { childPins, decodeInit, encodeInit, type InstanceInit, NO_SEED } from "../../../../host/invocation/instance-record.ts";
import type { ModuleHash } from "../../../../host/modules/index.ts";
import { NO_SEQNUM } from "../../../../state/ids.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

describe("a call's limits", () => {
  it("are its function's own, also when another function calls it, and are kept however often it is run again", async () => {
    const host = await ScriptedHost.open();
    await host.define("child", async () => 0, { limits: { wallTimeMs: 70, cpuTimeMs: 7 } });
    await host.define("caller", async (guest) => (await guest.call("child")).returnValue, { limits: { wallTimeMs: 90 } });
    await host.told({ functionName: "caller" });
    expect(host.pool.limits.map(({ wallTimeMs, cpuTimeMs }) => [wallTimeMs, cpuTimeMs])).toEqual([
      [90, 10_000],
      [70, 7],
    ]);
  });

  it("are pinned when the call begins", async () => {
    const host = await ScriptedHost.open();
    const loop = async (guest: ScriptedGuest) => {
      guest.put("x", "begun");
      await guest.get("x");
      return new Promise<never>(() => {});
    };
    await host.define("stuck", loop, { limits: { wallTimeMs: 70 } });
    const asked = host.told({ functionName: "stuck", key: "k" });
    await settled();
    await host.define("stuck", loop, { limits: { wallTimeMs: 80 } });
    [...host.pool.running].at(-1)?.displace();
    await settled();
    expect(host.pool.limits.map(({ wallTimeMs }) => wallTimeMs)).toEqual([70, 70]);
    for (let ends = 0; ends < 3; ends++) {
      [...host.pool.running].at(-1)?.kill("cpuTime");
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(await asked).toBe("parked: 3 attempts were ended by the host: killed by the test: cpuTime");
  });

  it("of an INIT from before there were more of them are none", () => {
    const init: InstanceInit = {
      functionName: "f",
      module: "m".repeat(64) as ModuleHash,
      input: { kind: "inline", bytes: Uint8Array.of(1, 2) },
      commandLine: "",
      tableIndex: null,
      environment: "",
      forbidPushDown: false,
      wallTimeMs: 1,
      cpuTimeMs: 2,
      outputMaxBytes: 3,
      logMaxBytes: 4,
      stateMaxBytes: 5,
      callMaxDepth: 6,
      functionMaxSandboxes: 8,
      objectMaxBytes: 7,
      retry: { attemptsMax: 1, backoffMs: 0, backoffMaxMs: 0, causes: ["cpuLimit"] },
      bound: false,
      notBeforeMs: 0,
      depth: 1,
      worldSize: 0,
      rank: 0,
      callId: 0,
      startedMs: 9,
      root: "",
      transaction: null,
      childSeed: Uint8Array.from(NO_SEED),
      modeCursor: NO_SEQNUM,
      protocol: null,
    };
    const bytes = new Uint8Array(encodeInit(init));
    expect(decodeInit(bytes)).toEqual(init);
    const old = bytes.slice(0, -45);
    old[0] = 2;
    const none = Number.POSITIVE_INFINITY;
    const ofAll = { functionMaxSandboxes: none };
    const before = { ...ofAll, cpuTimeMs: none, stateMaxBytes: none, logMaxBytes: 65_536, callMaxDepth: 32 };
    expect(decodeInit(old)).toEqual({ ...init, ...before });
    for (const [format, fewerBytes] of [
      [3, 16],
      [4, 12],
      [5, 8],
    ] as const) {
      const recent = bytes.slice(0, -fewerBytes);
      recent[0] = format;
      expect(decodeInit(recent)).toEqual({ ...init, ...ofAll });
    }
    expect(childPins({ seqnum: NO_SEQNUM, timeMs: 3 }, decodeInit(old)).timeMs).toBe(9);
  });
});

describe("callMaxDepth", () => {
  it("is that of the call at the top, or less where a function says so", async () => {
    const host = await ScriptedHost.open();
    const deeper = async (guest: ScriptedGuest) => {
      const { returnValue, text } = await guest.call(guest.input === "" ? "deeper" : guest.input);
      guest.output(returnValue === 0 ? `${text}.` : `${returnValue}`);
      return 0;
    };
    await host.define("deeper", deeper, { limits: { callMaxDepth: 3 } });
    await host.define("alone", deeper, { limits: { callMaxDepth: 0 } });
    expect(await host.told({ functionName: "deeper" })).toBe("0 -7...");
    expect(await host.told({ functionName: "alone", input: "deeper" })).toBe("0 -7");
  });
});

describe("OBJECT_TOO_LARGE", () => {
  it.each([undefined, 1])(
    "a value above the limit is not written, however short it is (storage slots: %j)",
    async (partSlots) => {
      const host = await ScriptedHost.open({ objectMaxBytes: 2_000, ...(partSlots !== undefined && { partSlots }) });
      const put = async (guest: ScriptedGuest) => {
        guest.put("a", "x".repeat(2_000));
        guest.put("b", "x".repeat(2_001));
        guest.put("c", "x");
        return 0;
      };
      await host.define("put", {
        main: async (guest) => (guest.input === "part" ? guest.part("k", 0) : put(guest)),
        parts: [put],
      });
      for (const [input, key] of [
        ["", "k"],
        ["", undefined],
        ["part", "p"],
      ] as const) {
        expect(await host.told({ functionName: "put", input, ...(key !== undefined && { key }) })).toBe(
          'trap OBJECT_TOO_LARGE: object "b": a value of 2001 bytes, 2000 may be (objectMaxBytes)',
        );
      }
      expect([(await host.object("a"))?.length, await host.object("b"), await host.object("c")]).toEqual([2_000, null, null]);
    },
  );
});

describe("STATE_LIMIT", () => {
  const fill = (key: string, sizeBytes: number) => (guest: ScriptedGuest) => guest.put(key, "x".repeat(sizeBytes));

  it("ends a call before it has written more than it may; what it wrote before stays", async () => {
    const host = await ScriptedHost.open({ limits: { stateMaxBytes: 100 } });
    await host.define("fill", async (guest) => {
      fill("a", 60)(guest);
      fill("b", 40)(guest);
      fill("c", 1)(guest);
      return 0;
    });
    expect(await host.told({ functionName: "fill", key: "k" })).toBe(
      "trap STATE_LIMIT: the call writes 101 bytes of state or more, at most 100 are allowed (stateMaxBytes)",
    );
    expect([await host.object("a"), await host.object("b"), await host.object("c")]).toEqual([
      "x".repeat(60),
      "x".repeat(40),
      null,
    ]);
    expect(await host.told({ functionName: "fill", key: "k" })).toMatch(/^trap STATE_LIMIT/);
  });

  it("counts storage parts, wherever they run", async () => {
    for (const partSlots of [0, 1]) {
      const host = await ScriptedHost.open({ partSlots, limits: { stateMaxBytes: 100 } });
      await host.define("fill", {
        main: async (guest) => {
          fill("a", 60)(guest);
          await guest.part("k", 0);
          fill("c", 20)(guest);
          return 0;
        },
        parts: [
          async (guest) => {
            fill("b", 30)(guest);
            return 0;
          },
        ],
      });
      expect(await host.told({ functionName: "fill" })).toMatch(/^trap STATE_LIMIT: the call writes 110 bytes/);
    }
  });
});

describe("tenantMaxCalls", () => {
  it("refuses calls beyond it with OVERLOADED, and takes them when others have ended", async () => {
    const host = await ScriptedHost.open({ limits: { tenantMaxCalls: 2 } });
    const gate = Promise.withResolvers<void>();
    await host.define("wait", async () => {
      await gate.promise;
      return 0;
    });
    await host.define("quick", async () => 0);
    const waiting = [host.told({ functionName: "wait" }), host.told({ functionName: "wait" })];
    await settled();
    await expect(host.call({ functionName: "quick" })).rejects.toMatchObject({
      code: "OVERLOADED",
      message: expect.stringContaining("at most 2 may be"),
    });
    gate.resolve();
    await Promise.all(waiting);
    expect(await host.told({ functionName: "quick" })).toBe("0 ");
  });

  it("keeps a call from starting more calls at once than there may be; one that has logged something tries again", async () => {
    const host = await ScriptedHost.open({ limits: { tenantMaxCalls: 3 } });
    await host.define("child", async () => 0);
    await host.define("fan", async (guest) => {
      for (let child = 0; child < 6; child++) {
        guest.callStart("child", "");
      }
      for (let child = 0; child < 6; child++) {
        await guest.callAwait(child);
      }
      return 0;
    });
    expect(await host.told({ functionName: "fan", key: "k" })).toBe("0 ");
    expect(host.pool.started).toBeGreaterThan(7);
  });
});
