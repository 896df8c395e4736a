import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { compareUtf8, ObjectNames } from "../../../../state/logbook/object-names.ts";

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const nameArbitrary = fc.string({
  unit: fc.constantFrom("a", "b", "/", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"),
  maxLength: 5,
});

test("names are compared as their UTF-8 bytes are", () => {
  fc.assert(
    fc.property(nameArbitrary, nameArbitrary, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(byBytes(a, b));
    }),
  );
});

test("a listing has the names with the prefix after the given one, in order, whenever they were added or removed", () => {
  const stepArbitrary = fc.record({ name: nameArbitrary, list: fc.boolean(), prefix: nameArbitrary, after: nameArbitrary });
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 40, size: "max" }), (steps) => {
      const names = new ObjectNames();
      const model = new Set<string>();
      for (const { name, list, prefix, after } of steps) {
        if (name !== "" && !model.has(name)) {
          names.add(name);
          model.add(name);
        } else if (model.delete(name)) {
          names.remove(name);
        }
        if (list) {
          const visited: string[] = [];
          names.visit(prefix, after, (one) => visited.push(one) > 0);
          const expected = [...model].filter((one) => one.startsWith(prefix) && byBytes(one, after) > 0).sort(byBytes);
          expect(visited).toEqual(expected);
        }
      }
    }),
  );
});

test("a listing ends when it is told to", () => {
  const names = new ObjectNames();
  for (const name of ["c", "a", "b"]) {
    names.add(name);
  }
  const visited: string[] = [];
  names.visit("", "", (name) => visited.push(name) < 2);
  expect(visited).toEqual(["a", "b"]);
});

test("H27: neither an insert nor a removal nor a listing goes over all names, however many were added before", () => {
  const names = new ObjectNames();
  const longest = longestChange(() => {
    for (let i = 0; i < 20_000; i++) {
      names.add(`name ${(i * 7_919) % 20_000}`);
    }
    names.visit("name 7", "name 71", () => false);
    names.remove("name 4711");
    names.visit("", "", () => false);
  });
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThan(1_000);
});

/** The length of the longest array that an element is put into or taken out of, or that is sorted, meanwhile. */
function longestChange(work: () => void): number {
  let longest = 0;
  const spies = (["push", "splice", "sort", "filter"] as const).map((method) => {
    const original = Array.prototype[method] as (...args: unknown[]) => unknown;
    return vi.spyOn(Array.prototype, method).mockImplementation(function (this: unknown[], ...args: unknown[]) {
      longest = Math.max(longest, this.length);
      return original.apply(this, args) as never;
    });
  });
  try {
    work();
  } finally {
    for (const spy of spies) {
      spy.mockRestore();
    }
  }
  return longest;
}
