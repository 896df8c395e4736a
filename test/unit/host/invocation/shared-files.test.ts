import { expect, it } from "vitest";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";
import { ROOT, WasiCalls } from "../../../support/wasi-calls.ts";

const APPEND = 1;
const FOREVER = new Promise<never>(() => {});
const MODES = ["halfmoon-read", "halfmoon-write", "boki"] as const;

/** The imports of WASI in the guest's call. */
function wasiOf(guest: ScriptedGuest): WasiCalls {
  const wasi = new WasiCalls();
  wasi.guest.request = (operation, args) => guest.request(operation, args);
  return wasi;
}

async function append(wasi: WasiCalls, path: string, text: string): Promise<string> {
  const fd = await wasi.opened(path, { flags: APPEND });
  await wasi.write(fd, text);
  return wasi.call("fd_close", fd);
}

it.each(MODES)("F10: under %s a program that is run again after a crash sees the same files, and stores once", async (mode) => {
  const host = await ScriptedHost.openIn(mode);
  await host.put("files/d/in", "before");
  await host.put("files/d/e/x", "");
  await host.put("files/log", "0");
  let mayEnd = false;
  await host.define("program", async (guest) => {
    const wasi = wasiOf(guest);
    const seen = [await wasi.text("d/in"), ...(await wasi.list(await wasi.folder("faasm://d")))];
    await wasi.store("faasm://out", seen.join());
    seen.push(await append(wasi, "faasm://log", "+1"));
    seen.push(await wasi.call("path_rename", ROOT, "faasm://out", ROOT, "faasm://d/out"));
    await (mayEnd ? Promise.resolve() : FOREVER);
    guest.output(seen.join());
    return 0;
  });
  void host.call({ functionName: "program", key: "k" });
  await settled();
  expect(await host.object("files/log")).toBe("0+1");
  await host.put("files/d/in", "after");
  await host.put("files/d/new", "");
  await host.put("files/log", "1");
  await host.test.shard.whenDurable(await host.book.tail());
  mayEnd = true;
  const restarted = await host.crash();
  restarted.invocations.startRecovery(10_000);
  expect(await restarted.told({ functionName: "program", key: "k" })).toBe("0 before,.,..,e,in,success,success");
  expect([
    await restarted.object("files/log"),
    await restarted.object("files/d/out"),
    await restarted.object("files/out"),
  ]).toEqual(["1", "before,.,..,e,in", null]);
});

it.each(MODES)("F14: under %s of two programs that add to one file at once, one is told that it was replaced", async (mode) => {
  const host = await ScriptedHost.openIn(mode);
  await host.put("files/log", "0");
  let begun = 0;
  const both = Promise.withResolvers<void>();
  await host.define("add", async (guest) => {
    const wasi = wasiOf(guest);
    // An attempt that has logged nothing yet would just begin again.
    await wasi.store(`faasm://of-${guest.input}`, "");
    const fd = await wasi.opened("faasm://log", { flags: APPEND });
    await wasi.write(fd, guest.input);
    begun += 1;
    if (begun === 2) {
      both.resolve();
    }
    await both.promise;
    guest.output(await wasi.call("fd_close", fd));
    return 0;
  });
  const told = await Promise.all(["a", "b"].map((input) => host.told({ functionName: "add", input })));
  expect(told.toSorted()).toEqual(["0 stale", "0 success"]);
  expect(await host.object("files/log")).toBe(told[0] === "0 success" ? "0a" : "0b");
});

it.each([0, 4])("F21: a storage part reads and stores shared files, here and beside the data (%i slots)", async (partSlots) => {
  const host = await ScriptedHost.open({ partSlots });
  await host.put("files/d/in", "x");
  const where: boolean[] = [];
  await host.define("program", {
    main: (guest) => guest.part("n", 0),
    parts: [
      async (guest) => {
        where.push(guest.start.part === undefined);
        const wasi = wasiOf(guest);
        const listed = await wasi.list(await wasi.folder("faasm://d"));
        await wasi.store("faasm://out", [await wasi.text("d/in"), ...listed].join());
        return 0;
      },
    ],
  });
  expect(await host.told({ functionName: "program" })).toBe("0 ");
  expect([where, await host.object("files/out")]).toEqual([[partSlots === 0], "x,.,..,in"]);
});
