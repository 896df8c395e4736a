/** Counters, gauges and histograms with the text exposition format of Prometheus. Updated on the hot path: no allocation per update. */
import { invariant } from "../../state/errors.ts";

export interface Counter {
  add(amount?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

interface Series {
  write(name: string, labels: string): string;
}

interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly series: Map<string, Series>;
}

/**
 * All metrics of a node. A metric is named once with its help; asked for again with the same labels it is the same one. Keep the
 * number of label values small: each is a series for ever.
 */
export class Metrics {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#series(name, "counter", help, labels, () => new CounterSeries());
  }

  /** `read` is asked when the metrics are. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#series(name, "gauge", help, labels, () => ({ write: (metric, text) => `${metric}${braces(text)} ${read()}\n` }));
  }

  /** @param bounds  upper bounds of the buckets, ascending; one without bound is added */
  histogram(name: string, help: string, bounds: readonly number[], labels: Labels = {}): Histogram {
    return this.#series(name, "histogram", help, labels, () => new HistogramSeries(bounds));
  }

  /** Everything, in the text format 0.0.4. */
  render(): string {
    let text = "";
    for (const [name, { type, help, series }] of this.#families) {
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      for (const [labels, one] of series) {
        text += one.write(name, labels);
      }
    }
    return text;
  }

  #series<S extends Series>(name: string, type: Family["type"], help: string, labels: Labels, create: () => S): S {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { type, help, series: new Map() };
      this.#families.set(name, family);
    }
    invariant(family.type === type, `metric ${name} is a ${family.type} and a ${type}`);
    const key = Object.entries(labels)
      .map(([label, value]) => `${label}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`)
      .join(",");
    let series = family.series.get(key);
    if (series === undefined) {
      series = create();
      family.series.set(key, series);
    }
    return series as S;
  }
}

class CounterSeries implements Counter, Series {
  #value = 0;

  add(amount = 1): void {
    this.#value += amount;
  }

  write(name: string, labels: string): string {
    return `${name}${braces(labels)} ${this.#value}\n`;
  }
}

class HistogramSeries implements Histogram, Series {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (value > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) {
      bucket += 1;
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  write(name: string, labels: string): string {
    let text = "";
    let total = 0;
    this.#counts.forEach((count, bucket) => {
      total += count;
      const bound = `le="${this.#bounds[bucket] ?? "+Inf"}"`;
      text += `${name}_bucket${braces(labels === "" ? bound : `${labels},${bound}`)} ${total}\n`;
    });
    return `${text}${name}_sum${braces(labels)} ${this.#sum}\n${name}_count${braces(labels)} ${total}\n`;
  }
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

/** Buckets for durations in ms, from a tenth of a flush to a minute. */
export const DURATION_BOUNDS_MS = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000, 60_000,
] as const;
