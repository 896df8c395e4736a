import fc from "fast-check";
import { expect, test } from "vitest";
import type { ModeAt } from "../../../../state/logbook/index.ts";
import { KnownModes } from "../../../../state/remote/known-modes.ts";
import { at } from "../../../support/open-shard.ts";

test("F18: what a session knows of modes is what the owner would say, whatever came when; and it spares questions", () => {
  const records = fc.array(fc.boolean(), { minLength: 1, maxLength: 30 });
  const events = fc.array(fc.record({ learn: fc.boolean(), at: fc.nat(40) }), { maxLength: 30 });
  let spared = 0;
  fc.assert(
    fc.property(records, events, (isMode, asked) => {
      // Position i + 1 of the journal is a mode record of the scope, or something else.
      const last = (cursor: number) => {
        const found = isMode.slice(0, cursor).lastIndexOf(true) + 1;
        return at(found);
      };
      const told = (cursor: number): ModeAt => {
        const seqnum = last(cursor);
        return { mode: seqnum % 2 === 0 ? "boki" : "unsafe", to: null, defaultMode: "halfmoon-read", seqnum, modes: seqnum };
      };
      const known = new KnownModes();
      for (const event of asked) {
        const position = Math.min(event.at, isMode.length);
        if (event.learn) {
          known.learn(at(position), last(position));
          continue;
        }
        const answer = known.at("a", at(position));
        if (answer === undefined) {
          known.add("a", at(position), told(position));
        } else {
          spared += 1;
          expect(answer).toEqual(told(position));
        }
      }
    }),
    { numRuns: 500 },
  );
  expect(spared).toBeGreaterThan(0);
});
