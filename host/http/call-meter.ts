/** Counts calls and their durations, and marks the fault points around their answers. */
import type { Clock, Faults } from "../../state/ports.ts";
import { type Counter, DURATION_BOUNDS_MS, type Histogram, type Metrics } from "../telemetry/index.ts";

export class CallMeter {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #duration: Histogram;
  readonly #answers = new Map<number, Counter>();

  constructor(metrics: Metrics, clock: Clock, faults: Faults) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#faults = faults;
    this.#duration = metrics.histogram(
      "neap_call_duration_ms",
      "From the request's headers to the answer, in ms.",
      DURATION_BOUNDS_MS,
    );
  }

  start(): number {
    return this.#clock.monotonic();
  }

  /** Sends the answer of a call that began at `startMs`. */
  answer(startMs: number, status: number, send: () => void): void {
    this.#faults.at("answer:before");
    send();
    this.#faults.at("answer:after");
    this.#duration.observe(this.#clock.monotonic() - startMs);
    let counter = this.#answers.get(status);
    if (counter === undefined) {
      counter = this.#metrics.counter("neap_call_answers_total", "Answers to calls by HTTP status.", { status: `${status}` });
      this.#answers.set(status, counter);
    }
    counter.add();
  }
}
