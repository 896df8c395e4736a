import { beforeEach, expect, it } from "vitest";
import { ScopeChoices } from "../../../../state/protocols/index.ts";
import { BOOK, openTestShard, type TestShard } from "../../../support/open-shard.ts";

let test: TestShard;
let choices: ScopeChoices;

beforeEach(async () => {
  test = await openTestShard();
  choices = new ScopeChoices(test.shard, 100);
});

/** Lets a switch go on to its end. */
async function ended(): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    await test.shard.whenDurable(await test.shard.book(BOOK).tail());
    test.time.advance(20);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it("a choice is told when it is durable, and not before (F8)", async () => {
  test.journal.automatic = false;
  let told = false;
  const chosen = choices.choose(BOOK, "a", "boki").then((view) => {
    told = true;
    return view;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(false);
  test.journal.automatic = true;
  while (test.journal.flush());
  expect(await chosen).toMatchObject({ scope: "a", mode: null, to: "boki", automatic: false });
  const next = await test.crash();
  expect((await new ScopeChoices(next.shard, 100).scopes(BOOK)).scopes).toMatchObject([{ scope: "a", to: "boki" }]);
});

it("what is told is durable, also when another choice comes meanwhile (F8)", async () => {
  await choices.choose(BOOK, "a", "boki");
  await ended();
  test.journal.automatic = false;
  const chosen = choices.choose(BOOK, "a", "automatic");
  await new Promise((resolve) => setImmediate(resolve));
  await test.shard.switchMode(BOOK, "a", "boki", false);
  test.journal.flush();
  const { automatic } = await chosen;
  const next = await test.crash();
  expect((await new ScopeChoices(next.shard, 100).scopes(BOOK)).scopes).toMatchObject([{ scope: "a", automatic }]);
});

it("a second switch is refused until the first has ended; the same choice again changes nothing", async () => {
  await choices.choose(BOOK, "a", "boki");
  await expect(choices.choose(BOOK, "a", "unsafe")).rejects.toMatchObject({ code: "SWITCH_UNDER_WAY" });
  await ended();
  const tail = await test.shard.book(BOOK).tail();
  expect(await choices.choose(BOOK, "a", "boki")).toMatchObject({ mode: "boki", to: null, begin: 0 });
  expect(await test.shard.book(BOOK).tail()).toBe(tail);
});

it("automatic keeps the mode, or takes the tenant's default; a choice by name pins it again without a switch", async () => {
  await choices.chooseDefault(BOOK, "halfmoon-write");
  expect((await choices.scopes(BOOK)).defaultMode).toBe("halfmoon-write");
  expect(await choices.choose(BOOK, "a", "automatic")).toMatchObject({ to: "halfmoon-write", automatic: true });
  await ended();
  expect(await choices.choose(BOOK, "a", "halfmoon-write")).toMatchObject({ mode: "halfmoon-write", to: null, automatic: false });
  expect(await choices.choose(BOOK, "a", "automatic")).toMatchObject({ mode: "halfmoon-write", to: null, automatic: true });
});

it("a scope that no key can have is refused", async () => {
  await expect(choices.choose(BOOK, "a/b", "boki")).rejects.toMatchObject({ code: "BAD_KEY" });
});
