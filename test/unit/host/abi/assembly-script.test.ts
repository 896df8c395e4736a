/** What AssemblyScript's own library imports. Its texts are pointers to UTF-16, with the size in bytes in front. */
import { describe, expect, it } from "vitest";
import { importFunctions } from "../../../../host/abi/create-imports.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";

const END = 65_536;

class Library {
  readonly host = new MemoryHost();
  readonly guest = new MemoryGuest(this.host, new Uint8Array(0));
  readonly memory = Buffer.alloc(END);

  constructor() {
    this.guest.attachBytes(this.memory);
  }

  place(text: string, pointer: number): number {
    this.memory.writeUInt32LE(text.length * 2, pointer - 4);
    this.memory.write(text, pointer, "utf16le");
    return pointer;
  }

  call(name: "env.abort" | "env.trace" | "env.seed" | "env.Date.now", ...args: readonly number[]): unknown {
    const run = importFunctions(this.guest)[name] as (...args: readonly number[]) => unknown;
    return run(...args);
  }
}

/** What is no text, wherever it points. */
const NO_TEXTS = [0, 3, END + 1, 2 ** 31 - 1, -(2 ** 31), -1];

describe("abort", () => {
  const abort = (message: string, file: string) => {
    const library = new Library();
    const pointer = library.place(message, 16);
    return () => library.call("env.abort", pointer, file === "" ? 0 : library.place(file, 30_000), 7, 9);
  };

  it("ends the call with AssemblyScript's message and its place", () => {
    expect(abort("größer als 😀", "main.ts")).toThrow(new GuestFault("größer als 😀 at main.ts:7:9"));
    expect(abort("", "")).toThrow(new GuestFault("abort"));
  });

  it("cuts a message that never ends", () => {
    expect(abort("x".repeat(10_000), "")).toThrow(new GuestFault("x".repeat(2_048)));
    const library = new Library();
    library.memory.writeUInt32LE(2 ** 32 - 1, END - 6);
    library.memory.write("y", END - 2, "utf16le");
    expect(() => library.call("env.abort", END - 2, 0, 0, 0)).toThrow(new GuestFault("y"));
  });

  it.each(NO_TEXTS)("ends the call also when its message is at %i", (pointer) => {
    expect(() => new Library().call("env.abort", pointer, pointer, -1, -1)).toThrow(new GuestFault("abort"));
  });
});

describe("trace", () => {
  it("writes a text and as many numbers as it says, at most five, to the log", () => {
    const library = new Library();
    const text = library.place("größer", 16);
    for (const count of [0, 2, 5, 6, 2 ** 31 - 1, -1]) {
      library.call("env.trace", text, count, 1, -2.5, 3, Number.NaN, Number.POSITIVE_INFINITY);
    }
    const all = "größer 1 -2.5 3 NaN Infinity";
    expect(library.host.logs).toEqual(["größer", "größer 1 -2.5", all, all, all, "größer"]);
  });

  it.each(NO_TEXTS)("writes the numbers alone when its text is at %i", (pointer) => {
    const library = new Library();
    library.call("env.trace", pointer, 1, 7, 0, 0, 0, 0);
    expect(library.host.logs).toEqual([" 7"]);
  });

  it("writes no more than the call's limit of its log", () => {
    const library = new Library();
    const text = library.place("x".repeat(2_000), 16);
    for (let lines = 0; lines < 10; lines++) {
      library.call("env.trace", text, 0, 0, 0, 0, 0, 0);
    }
    expect(library.host.logs.join("").length).toBeLessThan(library.guest.call.logMaxBytes + 50);
  });
});

describe("seed and Date.now", () => {
  it("F13: seed is from 0 to below 1, another one each time, and the same in a replay", () => {
    const draw = () => {
      const library = new Library();
      return Array.from({ length: 1_000 }, () => Number(library.call("env.seed")));
    };
    const drawn = draw();
    expect(drawn).toEqual(draw());
    expect(new Set(drawn).size).toBe(1_000);
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
  });

  it("F35: Date.now is the call's clock in whole ms, and moves with the newest record it has seen", () => {
    const library = new Library();
    expect([library.call("env.Date.now"), library.call("env.Date.now")]).toEqual([1_000, 1_000]);
    library.guest.call.lastTimeMs = 2_000.7;
    expect(library.call("env.Date.now")).toBe(2_000);
  });
});
