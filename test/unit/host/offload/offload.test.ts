import { describe, expect, it } from "vitest";
import { Admission, Offload, type OffloadPolicy, type StoragePool } from "../../../../host/offload/index.ts";

const pool: StoragePool = {
  name: "storage@here",
  run: async () => ({ kind: "lost", reason: "never asked", mayGoOn: false }),
  cancel() {},
};
const decide = (
  policy: OffloadPolicy,
  { forbidden = false, objectBytes = 10 }: { forbidden?: boolean; objectBytes?: number | null },
  storage: StoragePool | null = pool,
) => new Offload(policy, () => storage).decide({ module: "m", forbidden, objectBytes: async () => objectBytes });

describe("where a storage part runs", () => {
  it("follows the mark by default", async () => {
    expect(await decide("marked", {})).toEqual({ pool, reason: "marked by the function" });
  });

  it("is here when the request forbids push-down, whatever the policy", async () => {
    expect((await decide("marked", { forbidden: true })).pool).toBeNull();
    expect((await decide("cost", { forbidden: true, objectBytes: 1e9 })).pool).toBeNull();
  });

  it("is here under policy never, and when no storage pool is in reach", async () => {
    expect((await decide("never", {})).pool).toBeNull();
    expect(await decide("marked", {}, null)).toEqual({ pool: null, reason: "no storage pool in reach" });
  });

  it("is there under policy cost only if the object is larger than what the part moves", async () => {
    expect((await decide("cost", { objectBytes: 20_000_000 })).pool).toBe(pool);
    expect((await decide("cost", { objectBytes: 100 })).pool).toBeNull();
    expect((await decide("cost", { objectBytes: null })).pool).toBeNull();
  });

  it("learns what the parts of a module move", async () => {
    const offload = new Offload("cost", () => pool);
    const request = { module: "decoder", forbidden: false, objectBytes: async () => 500_000 };
    expect((await offload.decide(request)).pool).toBe(pool);
    offload.learn("decoder", 2_000_000);
    expect((await offload.decide(request)).pool).toBeNull();
    for (let i = 0; i < 30; i += 1) {
      offload.learn("decoder", 1000);
    }
    expect((await offload.decide(request)).pool).toBe(pool);
  });
});

describe("a storage node refuses parts", () => {
  const idle = { cpuShare: 0, memoryShare: 0 };
  const limits = { slots: 2, cpuThreshold: 0.8, memoryThreshold: 0.9 };

  it("when no slot is free, and takes the next one when a part has left", () => {
    const admission = new Admission(limits, () => idle);
    expect([admission.enter(), admission.enter()]).toEqual([null, null]);
    expect(admission.enter()).toBe("no free slot: 2 of 2 in use");
    admission.leave();
    expect(admission.enter()).toBeNull();
  });

  it("when the CPU or the memory is above its threshold, naming both numbers, without losing a slot", () => {
    let load = { cpuShare: 0.93, memoryShare: 0 };
    const admission = new Admission({ ...limits, slots: 1 }, () => load);
    expect(admission.enter()).toBe("CPU in use 93 %, threshold 80 %");
    load = { cpuShare: 0.1, memoryShare: 0.95 };
    expect(admission.enter()).toBe("memory in use 95 %, threshold 90 %");
    load = idle;
    expect(admission.enter()).toBeNull();
  });

  it("always, with no slots at all", () => {
    expect(new Admission({ ...limits, slots: 0 }, () => idle).enter()).toBe("no free slot: 0 of 0 in use");
  });
});
