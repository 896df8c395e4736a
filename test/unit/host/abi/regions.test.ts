import { expect, it } from "vitest";
import { importFunctions } from "../../../../host/abi/create-imports.ts";
import { Operation } from "../../../../host/abi/operations.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";

it("F23: a guest that reaches regions waits until what it writes is ordered; others go on at once (H5)", async () => {
  for (const reachesRegions of [true, false]) {
    const host = new MemoryHost();
    const guest = new MemoryGuest(host, new Uint8Array(0));
    guest.reachesRegions = reachesRegions;
    guest.attachBytes(Buffer.concat([Buffer.from("key"), Buffer.from("value")]));
    const write = importFunctions(guest)["neap.object_write"] as (...args: number[]) => number | Promise<number>;
    const going = write(0, 3, 3, 5);
    // The host has heard of both, but only the first one does not go on before it has answered.
    expect(going instanceof Promise).toBe(reachesRegions);
    expect(await going).toBe(0);
    expect(host.operations).toEqual([Operation.objectWrite]);
  }
});
