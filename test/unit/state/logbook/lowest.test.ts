import fc from "fast-check";
import { expect, it } from "vitest";
import { Lowest } from "../../../../state/logbook/lowest.ts";

it("H27: knows the lowest of all numbers, whichever of them change and go", () => {
  const change = fc.tuple(fc.nat(20), fc.oneof(fc.nat(50), fc.constant(Number.POSITIVE_INFINITY)));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const lowest = new Lowest<number>();
      const model = new Map<number, number>();
      for (const [item, key] of changes) {
        lowest.set(item, key);
        model.set(item, key);
        expect(lowest.lowest).toBe(Math.min(...model.values(), Number.POSITIVE_INFINITY));
      }
    }),
    { numRuns: 500 },
  );
});
