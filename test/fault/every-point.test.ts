import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId, MAX_SEQNUM } from "../../state/ids.ts";
import type { Mode } from "../../state/logbook/index.ts";
import type { FaultPoint } from "../../state/ports.ts";
import { textOf } from "../support/call-bytes.ts";
import { HttpFixture } from "../support/http-fixture.ts";
import { prng } from "../support/prng.ts";
import { ScriptedEgress } from "../support/scripted-egress.ts";
import { type Crash, copyRemains, type Remains, testPool, World } from "../support/world.ts";

const BANK = logBookId("bank");
/** Steps that return values, chained calls, a choice among bound ones, a storage part, posted steps: each under a key of its own, as a client retries. */
const REQUESTS = [
  { functionName: "account", input: "alice 100" },
  { functionName: "counter", input: "visits 2" },
  { functionName: "transfer", input: "alice bob 30" },
  { functionName: "put", input: "text one two two" },
  { functionName: "wordcount", input: "text" },
  { functionName: "counter", input: "visits 5" },
  { functionName: "feed", input: "add news here" },
  { functionName: "feed", input: "page news" },
  { functionName: "fetch", input: "http://there/ text" },
  { functionName: "fanout", input: "counter visits" },
] as const;
const OBJECTS = ["account/alice", "account/bob", "visits", "text"];

interface Outcome {
  readonly answers: readonly string[];
  readonly versions: Readonly<Record<string, readonly (string | null)[]>>;
  readonly newest: Readonly<Record<string, string | null>>;
}

type Request = (typeof REQUESTS)[number];

/** How requests reach a world. */
interface Client {
  /** @returns return value and output */
  ask(request: Request, key: string): Promise<string>;
  close(): Promise<void>;
}

function direct(world: World): Client {
  return {
    async ask(request, key) {
      const answer = await world.call({ tenant: BANK, key, ...request });
      expect(answer.kind, JSON.stringify(answer)).toBe("completed");
      return answer.kind === "completed" ? `${answer.result.returnValue} ${textOf(answer.result.output)}` : "";
    },
    close: async () => {},
  };
}

async function overHttp({ invocations, faults }: World): Promise<Client> {
  const http = await HttpFixture.start({ invocations, faults });
  return {
    async ask({ functionName, input }, key) {
      const message = { user: BANK, function: functionName, input_data: input };
      const { status, text } = await http.call(message, { "Idempotency-Key": key });
      expect(status, text).toBe(200);
      return `0 ${text}`;
    },
    close: () => http.close(),
  };
}

let pool: SandboxPool;
let prepared: Remains;

beforeAll(async () => {
  pool = await testPool();
  prepared = await World.prepare(pool, BANK, [
    "account",
    "counter",
    "feed",
    "fetch",
    "transfer",
    "fanout",
    "ndp/put",
    "ndp/wordcount",
  ]);
});

afterAll(() => pool.close());

/**
 * Runs all requests, one after the other, over as many worlds as crashes make necessary.
 * @param before  what an administrator does before each request, again in every world
 */
async function run(
  decide: (point: FaultPoint, count: number) => Crash | null,
  before: (world: World, index: number) => Promise<void> = async () => {},
  connect: (world: World) => Client | Promise<Client> = direct,
): Promise<Outcome & { points: FaultPoint[] }> {
  const points: FaultPoint[] = [];
  /** Of the requests to the outside: what left a world before its crash. */
  const keys = new Set<string>();
  let egress = new ScriptedEgress();
  const open = (remains: Remains) => {
    egress = new ScriptedEgress();
    egress.answer = ({ method, url }) => ({ status: 200, headers: [], body: `${method} ${url}` });
    return World.open(pool, remains, onFault, egress);
  };
  const noteKeys = () => {
    for (const { idempotencyKey } of egress.sent) {
      keys.add(idempotencyKey);
    }
  };
  const onFault = (point: FaultPoint) => {
    points.push(point);
    const crash = decide(point, points.length);
    if (crash !== null) {
      noteKeys();
    }
    return crash;
  };
  let world = await open(copyRemains(prepared));
  let client = await connect(world);
  const answers: string[] = [];
  for (const [index, request] of REQUESTS.entries()) {
    for (;;) {
      const current = client;
      const asked = before(world, index)
        .then(() => current.ask(request, `request-${index}`))
        .then((output) => ({ output }));
      const happened = await Promise.race([asked, world.crashed.then((remains) => ({ remains }))]);
      // Whoever was answered does not ask again: what he was told must hold in the next world.
      const told = "output" in happened || points.at(-1) === "answer:after" ? await asked : null;
      if ("remains" in happened) {
        await client.close();
        world = await open(happened.remains);
        client = await connect(world);
      }
      if (told === null) {
        continue;
      }
      const { output } = told;
      // A crash takes up seqnums.
      answers.push(request.functionName === "feed" ? output.replaceAll(/\d+/g, "n") : output);
      break;
    }
  }
  const versions: Record<string, (string | null)[]> = {};
  const newest: Record<string, string | null> = {};
  for (const key of OBJECTS) {
    versions[key] = await world.versions(BANK, key);
    newest[key] = await world.object(BANK, key);
  }
  await client.close();
  await world.close();
  noteKeys();
  expect(keys.size, "however often the request left, it had one key (F15)").toBe(1);
  return { answers, versions, newest, points };
}

function outcomeOf({ answers, versions, newest }: Outcome): Outcome {
  return { answers, versions, newest };
}

/** Chooses the protocol of all scopes before the first request. */
const allIn = (mode: Mode) => async (world: World, index: number) => {
  if (index === 0) {
    await world.shard.chooseDefault(BANK, mode);
  }
};

/** Switches a scope between requests, to and fro. */
async function switching(world: World, index: number): Promise<void> {
  const { mode, to } = await world.shard.book(BANK).modeAt("account", MAX_SEQNUM);
  const wanted = index % 2 === 0 ? "halfmoon-write" : "halfmoon-read";
  if (to === null && mode !== wanted) {
    await world.shard.switchMode(BANK, "account", wanted, false);
  }
}

describe("a crash at every fault point", () => {
  it("F12, F13, F15, F16, F17: leaves every answer and every version as a run without a crash has them", {
    timeout: 300_000,
  }, async () => {
    const calm = await run(() => null);
    expect(calm.answers).toHaveLength(REQUESTS.length);
    expect(calm.versions["account/alice"]).toEqual(["100", "70"]);
    expect(calm.versions.visits).toEqual(["2", "7", "8"]);
    expect(calm.answers.at(-2)).toBe("0 200 POST http://there/");
    expect(calm.answers.at(-3)).toBe("n n here\nnext n\n");
    for (const kind of [
      "append:before",
      "append:after",
      "flush:before",
      "flush:after",
      "dispatch:before",
      "dispatch:after",
      "outside:before",
      "outside:after",
      "checkpoint:before",
      "checkpoint:after",
    ] as const) {
      expect(calm.points, kind).toContain(kind);
    }
    for (let crashAt = 1; crashAt <= calm.points.length; crashAt += 1) {
      for (const crash of ["kill", "powerCut"] as const) {
        const outcome = await run((_, count) => (count === crashAt ? crash : null));
        expect(outcomeOf(outcome), `${crash} at point ${crashAt}, ${calm.points[crashAt - 1]}`).toEqual(outcomeOf(calm));
      }
    }
  });

  it.each([
    ["[16] under Halfmoon-write", allIn("halfmoon-write")],
    ["[16] under Boki", allIn("boki")],
    ["[44] [46] while the scope of the accounts is switched to and fro", switching],
  ])("%s: leaves every answer and every value as a run without a crash has them", { timeout: 300_000 }, async (_, before) => {
    const calm = await run(() => null, before);
    const said = ({ answers, newest }: Outcome) => ({ answers, newest });
    expect(calm.newest).toMatchObject({ "account/alice": "70", "account/bob": "30", visits: "8" });
    for (let crashAt = 1; crashAt <= calm.points.length; crashAt += 1) {
      const crash = crashAt % 2 === 0 ? "kill" : "powerCut";
      const outcome = await run((_, count) => (count === crashAt ? crash : null), before);
      expect(said(outcome), `${crash} at point ${crashAt}, ${calm.points[crashAt - 1]}`).toEqual(said(calm));
    }
  });

  it("F8: around an answer leaves every answer and every version as a run without a crash has them", {
    timeout: 300_000,
  }, async () => {
    const over = (crashAt: number) => {
      let answers = 0;
      return run(
        (point) => {
          answers += point.startsWith("answer:") ? 1 : 0;
          return answers === crashAt && point.startsWith("answer:") ? (crashAt % 4 < 2 ? "kill" : "powerCut") : null;
        },
        undefined,
        overHttp,
      );
    };
    const calm = await over(0);
    const points = calm.points.filter((point) => point.startsWith("answer:"));
    expect(points).toEqual(REQUESTS.flatMap(() => ["answer:before", "answer:after"]));
    for (let crashAt = 1; crashAt <= points.length; crashAt += 1) {
      expect(outcomeOf(await over(crashAt)), `at answer point ${crashAt}`).toEqual(outcomeOf(calm));
    }
  });

  it("and again during the recovery from it, at random points", { timeout: 300_000 }, async () => {
    const calm = await run(() => null);
    const seed = Date.now() % 1_000_000;
    const random = prng(seed);
    for (let round = 0; round < 20; round += 1) {
      let crashes = 0;
      const outcome = await run(() => {
        const crash = crashes < 5 && random.below(12) === 0;
        crashes += crash ? 1 : 0;
        return crash ? (random.below(2) === 0 ? "kill" : "powerCut") : null;
      });
      expect(outcomeOf(outcome), `seed ${seed}, round ${round}`).toEqual(outcomeOf(calm));
    }
  });
});
