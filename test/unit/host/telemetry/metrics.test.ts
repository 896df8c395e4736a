import { expect, test } from "vitest";
import { Metrics } from "../../../../host/telemetry/index.ts";

test("counters, gauges and histograms are rendered in the text format", () => {
  const metrics = new Metrics();
  const calls = metrics.counter("neap_calls_total", "Calls.", { outcome: "completed" });
  calls.add();
  calls.add(2);
  let queued = 5;
  metrics.gauge("neap_queued", "Waiting calls.", () => queued);
  queued = 7;
  const duration = metrics.histogram("neap_ms", "Duration.", [1, 10], { kind: "x" });
  for (const value of [0.5, 1, 5, 11]) {
    duration.observe(value);
  }
  expect(metrics.render()).toBe(
    [
      "# HELP neap_calls_total Calls.",
      "# TYPE neap_calls_total counter",
      'neap_calls_total{outcome="completed"} 3',
      "# HELP neap_queued Waiting calls.",
      "# TYPE neap_queued gauge",
      "neap_queued 7",
      "# HELP neap_ms Duration.",
      "# TYPE neap_ms histogram",
      'neap_ms_bucket{kind="x",le="1"} 2',
      'neap_ms_bucket{kind="x",le="10"} 3',
      'neap_ms_bucket{kind="x",le="+Inf"} 4',
      'neap_ms_sum{kind="x"} 17.5',
      'neap_ms_count{kind="x"} 4',
      "",
    ].join("\n"),
  );
});

test("the same name and labels are the same series, other labels another one", () => {
  const metrics = new Metrics();
  metrics.counter("a", "A.", { x: "1" }).add();
  metrics.counter("a", "A.", { x: "1" }).add();
  metrics.counter("a", "A.", { x: "2" }).add();
  expect(metrics.render()).toContain('a{x="1"} 2\na{x="2"} 1\n');
});

test("label values cannot break out of their quotes", () => {
  const metrics = new Metrics();
  metrics.counter("a", "A.", { x: 'q" b\\ \n' }).add();
  expect(metrics.render()).toContain('a{x="q\\" b\\\\ \\n"} 1\n');
});

test("one name cannot be two types", () => {
  const metrics = new Metrics();
  metrics.counter("a", "A.");
  expect(() => metrics.gauge("a", "A.", () => 1)).toThrow("metric a is a counter and a gauge");
});
