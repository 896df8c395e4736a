import fc from "fast-check";
import { expect, test } from "vitest";
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
          names.remove(new Set([name]));
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
