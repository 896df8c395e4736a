import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../../host/abi/operations.ts";
import { OBJECT_KEY_MAX_BYTES } from "../../../../state/ids.ts";
import { GuestCalls, withinCall } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";

const { invalid, notHeld, notInPart, tooLarge } = GuestError;

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
  await host.define("try", async (guest) => {
    guest.output((await guest.tryLock(guest.input)) > 0 ? "got it" : "held");
    return 0;
  });
});

const triedByAnother = (name: string) => host.told({ functionName: "try", input: name });

describe("lock, lock_try and unlock", () => {
  it("give a token above 0, keep others out, and let them in when it was given back as often as it was taken", async () => {
    await withinCall(host, async (calls) => {
      const token = (await calls.call("lock", "l")) as bigint;
      expect(token).toBeGreaterThan(0n);
      expect(await calls.call("lock_try", "l")).toBe(token);
      expect(await triedByAnother("l")).toBe("0 held");
      expect(await calls.call("unlock", "l")).toBe(0);
      expect(await triedByAnother("l")).toBe("0 held");
      expect(await calls.call("unlock", "l")).toBe(0);
      expect(await triedByAnother("l")).toBe("0 got it");
    });
  });

  it("lock_try answers 0 for a lock of another call, which lock waits for", async () => {
    const free = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<void>();
    await host.define("holder", async (guest) => {
      await guest.lock("l");
      taken.resolve();
      await free.promise;
      return 0;
    });
    const holder = host.told({ functionName: "holder" });
    await taken.promise;
    await withinCall(host, async (calls) => {
      expect(await calls.call("lock_try", "l")).toBe(0n);
      const waiting = calls.call("lock", "l");
      free.resolve();
      expect(await waiting).toBeGreaterThan(0n);
    });
    await holder;
  });

  it("unlock refuses what this function does not hold", async () => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("unlock", "l")).toBe(notHeld);
      await calls.call("lock", "l");
      expect(await calls.call("unlock", "other")).toBe(notHeld);
      expect(await calls.call("unlock", "l")).toBe(0);
      expect(await calls.call("unlock", "l")).toBe(notHeld);
    });
  });

  it("a function holds 100 locks, and not one more", async () => {
    await withinCall(host, async (calls) => {
      for (let at = 0; at < 100; at++) {
        expect(await calls.call("lock", `l${at}`)).toBeGreaterThan(0n);
      }
      expect(await calls.call("lock", "one more")).toBe(BigInt(tooLarge));
      expect(await calls.call("lock_try", "one more")).toBe(BigInt(tooLarge));
      expect(await calls.call("unlock", "l0")).toBe(0);
      expect(await calls.call("lock", "one more")).toBeGreaterThan(0n);
    });
  });
});

describe("what no lock can be called is refused before anything is asked of the host", () => {
  const names: readonly [string, string][] = [
    ["nothing", ""],
    ["a name that is too long", "l".repeat(OBJECT_KEY_MAX_BYTES + 1)],
    ["a NUL", "a\0b"],
    ["a line break", "a\nb"],
  ];
  it.each(names)("%s", async (_, name) => {
    const memory = new MemoryHost();
    const calls = new GuestCalls(memory);
    expect(await calls.call("lock", name)).toBe(BigInt(invalid));
    expect(await calls.call("lock_try", name)).toBe(BigInt(invalid));
    expect(await calls.call("unlock", name)).toBe(invalid);
    expect(memory.operations).toEqual([]);
  });

  it("anything that is not UTF-8, and anything inside a storage part (H16)", async () => {
    const memory = new MemoryHost();
    const calls = new GuestCalls(memory);
    calls.memory.set([0x61, 0xff], 100);
    expect(await calls.call("lock", 100, 2)).toBe(BigInt(invalid));
    calls.guest.call.inPart = true;
    expect(await calls.call("lock", "l")).toBe(BigInt(notInPart));
    expect(await calls.call("lock_try", "l")).toBe(BigInt(notInPart));
    expect(await calls.call("unlock", "l")).toBe(notInPart);
    expect(memory.operations).toEqual([]);
  });

  it("but not the longest name there may be", async () => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("lock", "l".repeat(OBJECT_KEY_MAX_BYTES))).toBeGreaterThan(0n);
    });
  });
});
