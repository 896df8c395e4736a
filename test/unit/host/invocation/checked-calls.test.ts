/** Calls that bring a check of what they would run, as those of typed entry points do, and calls of a function of the table. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Artefact } from "../../../../host/modules/artefact.ts";
import { NeapError } from "../../../../state/errors.ts";
import { keyTag } from "../../../../state/tags.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";

const refuse = () => {
  throw new NeapError("ARGUMENT_INVALID", "no");
};

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
  await host.define("append", async (guest) => {
    guest.output(await guest.update("text", (old) => (old ?? "") + guest.input));
    return 0;
  });
});

const code = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );

describe("a call that is refused by its check", () => {
  it.each([
    ["at once", {}],
    ["with a key", { key: "k" }],
    ["with an id", { callId: 7 }],
    ["asynchronous", { answer: "accepted" as const }],
    ["delayed", { answer: "accepted" as const, delayMs: 10 }],
  ])("%s leaves nothing in the log, and its key free", async (_, options) => {
    const before = await host.book.tail();
    expect(await code(host.call({ functionName: "append", input: "a", ...options, check: refuse }))).toBe("ARGUMENT_INVALID");
    expect(await host.book.tail()).toBe(before);
    expect(host.pool.started).toBe(0);
    expect((await host.call({ functionName: "append", input: "b", ...options })).kind).toMatch(/completed|accepted/);
  });

  it("is shown the module that it would run", async () => {
    const seen: Artefact[] = [];
    await host.call({ functionName: "append", input: "a", check: (artefact) => void seen.push(artefact) });
    expect(seen).toHaveLength(1);
    expect(await code(host.call({ functionName: "none", check: refuse }))).toBe("UNKNOWN_FUNCTION");
  });

  it("F20: gets the answer of the call that has happened under its key or id", async () => {
    for (const key of [{ key: "k" }, { callId: 8 }]) {
      const request = { functionName: "append", input: "a", ...key };
      const first = await host.told(request);
      expect(await host.told({ ...request, check: refuse })).toBe(first);
      expect(await code(host.call({ ...request, input: "b", check: refuse }))).toMatch(/^(IDEMPOTENCY_MISMATCH|CALL_ID_TAKEN)$/);
    }
    expect(await host.versions("text")).toEqual(["a", "aa"]);
  });
});

it("F24: under one id another index of the table is another call", async () => {
  const request = { functionName: "append", input: "a", callId: 9 };
  const first = await host.told(request);
  expect(await host.told(request)).toBe(first);
  expect(await code(host.call({ ...request, tableIndex: 1 }))).toBe("CALL_ID_TAKEN");
});

it("F30: a key of an entry point is no key of its function", () => {
  expect(keyTag("shop/total", "k")).not.toBe(keyTag("shop", "total/k"));
});
