import fc from "fast-check";
import { expect, test } from "vitest";
import type { Attempt } from "../../../../host/sandbox/pool/attempt.ts";
import { SandboxGates } from "../../../../host/sandbox/pool/sandbox-gates.ts";

const TENANT_MAX = 3;
const FUNCTION_MAX = 2;
const DEPTH_MAX = 2;

/** All that a gate looks at. */
const attempt = (name: string, depth: number): Attempt =>
  ({
    start: {
      ...{ tenant: "acme", depth, sandboxesMax: TENANT_MAX },
      ofFunction: name === "unbounded" ? undefined : { name, sandboxesMax: FUNCTION_MAX },
    },
  }) as Attempt;

const anyAttempt = fc.record({ name: fc.constantFrom("one", "another", "unbounded"), depth: fc.nat({ max: DEPTH_MAX }) });
/** An attempt comes, or one of those that are through leaves, or one that waits gives up. */
const anyStep = fc.oneof(anyAttempt, fc.record({ leaves: fc.nat() }), fc.record({ givesUp: fc.nat() }));

/** Beyond the bound one for each depth of nested calls, and never a root. */
function expectWithin(through: readonly Attempt[], bound: number): void {
  expect(through.filter(({ start }) => start.depth === 0).length).toBeLessThanOrEqual(bound);
  expect(through.length).toBeLessThanOrEqual(bound + DEPTH_MAX);
}

test("each gets through once; beyond a bound there is one nested call for each depth, and nobody waits where there is room", () => {
  const property = fc.property(fc.array(anyStep, { maxLength: 60, size: "max" }), (steps) => {
    const gates = new SandboxGates();
    const through: Attempt[] = [];
    const waiting = new Set<Attempt>();
    const isOf = (name: string) => (one: Attempt) => one.start.ofFunction?.name === name;
    const leave = (one: Attempt) => {
      for (const next of gates.leave(one)) {
        expect(waiting.delete(next)).toBe(true);
        through.push(next);
      }
    };
    for (const step of steps) {
      if ("leaves" in step) {
        through.splice(step.leaves % Math.max(1, through.length), 1).forEach(leave);
      } else if ("givesUp" in step) {
        const one = [...waiting][step.givesUp % Math.max(1, waiting.size)];
        if (one !== undefined) {
          waiting.delete(one);
          one.queue?.withdraw(one);
          leave(one);
        }
      } else {
        const one = attempt(step.name, step.depth);
        if (gates.enter(one)) {
          through.push(one);
        } else {
          waiting.add(one);
        }
      }
      expect(gates.waiting).toBe(waiting.size);
      expectWithin(through, TENANT_MAX);
      for (const name of ["one", "another"]) {
        expectWithin(through.filter(isOf(name)), FUNCTION_MAX);
      }
      expect(waiting.size > 0 && through.length < FUNCTION_MAX).toBe(false);
    }
    while (through.length > 0) {
      leave(through.pop() as Attempt);
    }
    expect([gates.waiting, waiting.size]).toEqual([0, 0]);
  });
  fc.assert(property, { numRuns: 300 });
});
