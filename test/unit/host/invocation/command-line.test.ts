import { expect, it } from "vitest";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

const commandLine = ({ start }: ScriptedGuest): string => Buffer.from(start.commandLine).toString().replaceAll("\0", "|");

async function refused(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );
}

it("a program is told its function's name, and the words that came with the call", async () => {
  const host = await ScriptedHost.open();
  await host.define("tell", async (guest) => {
    guest.output(commandLine(guest));
    return 0;
  });
  expect(await host.told({ functionName: "tell" })).toBe("0 tell");
  expect(await host.told({ functionName: "tell", commandLine: "  --loud größer\n\0x " })).toBe("0 tell|--loud|größer|x");
});

it("and so is what it calls, with the name of that", async () => {
  const host = await ScriptedHost.open();
  await host.define("tell", async (guest) => {
    guest.output(commandLine(guest));
    return 0;
  });
  await host.define("caller", async (guest) => {
    guest.output((await guest.call("tell")).text);
    return 0;
  });
  expect(await host.told({ functionName: "caller", commandLine: "a b" })).toBe("0 tell|a|b");
});

it("F24: the environment of the function is pinned with the call: attempts and called functions have their own, whatever is set since", async () => {
  const host = await ScriptedHost.open();
  let mayEnd = false;
  await host.define("inner", async (guest) => {
    guest.output(commandLine(guest));
    return 0;
  });
  const tell = async (guest: ScriptedGuest) => {
    const inner = (await guest.call("inner")).text;
    await (mayEnd ? Promise.resolve() : FOREVER);
    guest.output(`${commandLine(guest)};${inner}`);
    return 0;
  };
  await host.define("tell", tell, { environment: { A: "1", B: "" } });
  void host.call({ functionName: "tell", key: "k", commandLine: "x" });
  await settled();
  await host.define("tell", tell, { environment: { A: "2" } });
  await host.test.shard.whenDurable(await host.book.tail());
  mayEnd = true;
  const restarted = await host.crash();
  restarted.invocations.startRecovery(10_000);
  expect(await restarted.told({ functionName: "tell", key: "k", commandLine: "x" })).toBe("0 tell|x||A=1|B=;inner|x");
  expect(await restarted.told({ functionName: "tell", commandLine: "x" })).toBe("0 tell|x||A=2;inner|x");
});

it("F24: an attempt after a crash is told the same", async () => {
  const host = await ScriptedHost.open();
  let mayEnd = false;
  await host.define("tell", async (guest) => {
    await guest.update("seen", (old) => `${old ?? ""}${commandLine(guest)};`);
    await (mayEnd ? Promise.resolve() : FOREVER);
    guest.output(commandLine(guest));
    return 0;
  });
  void host.call({ functionName: "tell", key: "k", commandLine: "a" });
  await settled();
  await host.test.shard.whenDurable(await host.book.tail());
  mayEnd = true;
  const restarted = await host.crash();
  restarted.invocations.startRecovery(10_000);
  expect(await restarted.told({ functionName: "tell", key: "k", commandLine: "a" })).toBe("0 tell|a");
});

it("F24: a key or an id belongs to one command line: with another it is refused", async () => {
  const host = await ScriptedHost.open();
  await host.define("tell", async () => 0);
  for (const key of [{ key: "k" }, { callId: 7 }]) {
    expect(await host.told({ functionName: "tell", commandLine: "a", ...key })).toBe("0 ");
    expect(await host.told({ functionName: "tell", commandLine: "a", ...key })).toBe("0 ");
    const other = await refused(host.call({ functionName: "tell", commandLine: "b", ...key }));
    expect(other).toBe("key" in key ? "IDEMPOTENCY_MISMATCH" : "CALL_ID_TAKEN");
    expect(await refused(host.call({ functionName: "tell", ...key }))).toBe(other);
  }
});
