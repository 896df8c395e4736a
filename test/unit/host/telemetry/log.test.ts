import { expect, test } from "vitest";
import { createLog, type LogLevel } from "../../../../host/telemetry/index.ts";
import { NeapError } from "../../../../state/errors.ts";

const clock = { now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678), monotonic: () => 0 };

function collect(level: LogLevel, pretty: boolean) {
  const lines: string[] = [];
  return { lines, log: createLog({ level, pretty, clock, destination: { write: (line) => lines.push(line) } }) };
}

test("a line is one JSON object with the time of the given clock, the level by name and the fields", () => {
  const { lines, log } = collect("info", false);
  log.with({ tenant: "demo" }).warn("parked", { instance: "1-a", attempt: 3, step: 4, code: "NOT_DETERMINISTIC" });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.endsWith("}\n")).toBe(true);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    level: "warn",
    time: "2026-01-02T03:04:05.678Z",
    tenant: "demo",
    instance: "1-a",
    attempt: 3,
    step: 4,
    code: "NOT_DETERMINISTIC",
    msg: "parked",
  });
});

test("an error is logged with its code, its stack and its cause", () => {
  const { lines, log } = collect("info", false);
  log.error("failed", { error: new NeapError("DISK_FULL", "no room", { cause: new Error("ENOSPC") }) });
  const { error } = JSON.parse(lines[0] ?? "");
  expect(error).toMatchObject({ code: "DISK_FULL", message: "no room", cause: { message: "ENOSPC" } });
  expect(error.stack).toContain("log.test.ts");
});

test("lines below the level are not written", () => {
  const { lines, log } = collect("warn", false);
  log.debug("a");
  log.info("b");
  log.error("c");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["c"]);
});

test("the pretty form is one readable line, and the stack of an error", () => {
  const { lines, log } = collect("info", true);
  log.info("listening", { url: "http://127.0.0.1:8080", port: 8080 });
  log.error("failed", { error: new Error("why") });
  expect(lines[0]).toBe("03:04:05.678 info  listening url=http://127.0.0.1:8080 port=8080\n");
  expect(lines[1]).toMatch(/^03:04:05\.678 error failed\nError: why\n\s+at /);
});
