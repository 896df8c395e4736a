/** What a figure is: one of the published experiments, run on this host. */
import type { Bench, Row } from "../bench-case.ts";

export interface Figure {
  /** For `--only`, and of its files. */
  readonly name: string;
  /** One sentence. */
  readonly shows: string;
  /** How long `--paper` measures each point. */
  readonly paperSeconds: number;
  /** And how long it warms each host up before. */
  readonly paperWarmUpSeconds: number;
  /** Throws when a call fails. */
  run(bench: FigureBench): Promise<FigureResult>;
}

export interface FigureBench extends Bench {
  /** How long each point is measured, over all rounds. */
  readonly pointMs: number;
  /** The papers' rates, sizes and intervals, where they are not those of a short run. */
  readonly paper: boolean;
}

export interface FigureResult {
  readonly tables: readonly Table[];
  readonly panels: readonly Panel[];
  /** Ratios with a bar, and others worth a line. */
  readonly rows: readonly Row[];
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** One diagram of the figure. */
export interface Panel {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly kind: "line" | "bar" | "scatter";
  /** Of a bar chart: the names along x; otherwise x is a number. */
  readonly categories?: readonly string[];
  readonly series: readonly Series[];
  /** Vertical lines. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
}

export interface Series {
  readonly name: string;
  /** [x, y]; of a bar chart [number of the category, y]. */
  readonly points: readonly (readonly [number, number])[];
}
