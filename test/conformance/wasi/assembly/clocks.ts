import { clock_time_get, expect, poll_oneoff, result } from "./wasi";

const subscription = memory.data(48);
const events = memory.data(32);

function now(): i64 {
  expect("clock_time_get", clock_time_get(1, 0, result), 0);
  return load<i64>(result);
}

export function _start(): void {
  const before = now();
  store<i64>(subscription, 77);
  store<i32>(subscription, 1, 16);
  store<i64>(subscription, 20_000_000, 24);
  expect("poll_oneoff", poll_oneoff(subscription, events, 1, result), 0);
  expect("events", load<i32>(result), 1);
  expect("userdata", load<i64>(events), 77);
  expect("slept long enough", i64(now() - before >= 19_000_000), 1);
  expect("a clock that is none", poll_oneoff(subscription, events, 0, result), 28);
}
