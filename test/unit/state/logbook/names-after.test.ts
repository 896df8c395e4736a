import fc from "fast-check";
import { expect, it } from "vitest";
import { namesAfter, PAGE_NAMES } from "../../../../state/logbook/names-after.ts";

it("H27: pages hold all names once and in their order, and no page looks at many in one go", async () => {
  const name = fc.string({ minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(name, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), async (names, most) => {
      const found: string[] = [];
      for (;;) {
        const page = await namesAfter(names, found.at(-1) ?? null, most, async () => {});
        expect(page.length).toBeLessThanOrEqual(most);
        found.push(...page);
        if (page.length === 0) {
          break;
        }
      }
      expect(found).toEqual([...names].sort());
    }),
    { numRuns: 200 },
  );
  const many = Array.from({ length: 10_000 }, (_, i) => `${(i * 7_919) % 10_007}`);
  let pauses = 0;
  const page = await namesAfter(many, "5", Number.POSITIVE_INFINITY, async () => {
    pauses += 1;
  });
  const later = many.filter((one) => one > "5").sort();
  expect([page, pauses]).toEqual([later.slice(0, PAGE_NAMES), 5]);
});
