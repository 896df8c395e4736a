/** A figure as SVG and as Markdown. */
import { init } from "echarts";
import { isMet, type Row } from "../bench-case.ts";
import type { FigureResult, Panel, Table } from "./figure.ts";

const COLUMNS = 2;
const PANEL_WIDTH = 460;
const PANEL_HEIGHT = 300;
const MARGIN = { left: 62, right: 18, top: 62, bottom: 46 };
/** A scatter with more points than that shows an even choice of them. */
const POINTS_MAX = 500;
const COLORS: Readonly<Record<string, string>> = {
  "halfmoon-read": "#2166ac",
  "halfmoon-write": "#1b9e77",
  boki: "#d95f02",
  unsafe: "#777777",
};

export function svgOf(panels: readonly Panel[]): string {
  const width = Math.min(COLUMNS, panels.length) * PANEL_WIDTH;
  const height = Math.ceil(panels.length / COLUMNS) * PANEL_HEIGHT + 24;
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  const place = (index: number) => ({ left: (index % COLUMNS) * PANEL_WIDTH, top: Math.floor(index / COLUMNS) * PANEL_HEIGHT });
  const axis = { nameLocation: "middle" as const, axisLabel: { fontSize: 10 }, nameTextStyle: { fontSize: 11 } };
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    legend: { bottom: 2, itemHeight: 9, textStyle: { fontSize: 11 } },
    title: panels.map(({ title }, index) => ({
      text: title,
      left: place(index).left + MARGIN.left - 30,
      top: place(index).top + 10,
      textStyle: { fontSize: 13, fontWeight: "normal" },
    })),
    grid: panels.map((_, index) => ({
      left: place(index).left + MARGIN.left,
      top: place(index).top + MARGIN.top - 20,
      width: PANEL_WIDTH - MARGIN.left - MARGIN.right,
      height: PANEL_HEIGHT - MARGIN.top - MARGIN.bottom + 20,
    })),
    xAxis: panels.map(({ x, categories }, gridIndex) => ({
      ...axis,
      gridIndex,
      name: x,
      nameGap: 24,
      type: categories === undefined ? ("value" as const) : ("category" as const),
      ...(categories === undefined ? {} : { data: [...categories] }),
    })),
    yAxis: panels.map(({ y }, gridIndex) => ({ ...axis, gridIndex, name: y, nameGap: 42, type: "value" as const, min: 0 })),
    series: panels.flatMap(({ kind, series, marks = [] }, index) =>
      series.map(({ name, points }, number) => ({
        name,
        type: kind,
        xAxisIndex: index,
        yAxisIndex: index,
        symbolSize: kind === "scatter" ? 2.5 : 6,
        data: thinned(points).map(([x, y]) => [x, Math.round(y * 1000) / 1000]),
        ...(COLORS[name] === undefined ? {} : { itemStyle: { color: COLORS[name] } }),
        ...(number > 0 || marks.length === 0
          ? {}
          : {
              markLine: {
                symbol: "none",
                label: { fontSize: 9 },
                data: marks.map((mark) => ({ xAxis: mark.x, label: { formatter: mark.label } })),
              },
            }),
      })),
    ),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function thinned<T>(points: readonly T[]): readonly T[] {
  const step = Math.max(1, Math.ceil(points.length / POINTS_MAX));
  return points.filter((_, index) => index % step === 0);
}

export function markdownOf({ tables, rows }: Pick<FigureResult, "tables" | "rows">): string {
  const ratios: Table = {
    title: "Ratios",
    columns: ["ratio", "measured", "bar", ""],
    rows: rows.map((row) => [row.what, row.value, ...barCells(row)]),
  };
  return [...tables, ...(rows.length === 0 ? [] : [ratios])].map(tableText).join("\n");
}

function barCells({ value, bar }: Row): [string, string] {
  if (bar === undefined) {
    return ["", ""];
  }
  return [`${bar.limit === "at most" ? "≤" : "≥"} ${bar.value}`, isMet(value, bar) ? "met" : "missed"];
}

function tableText({ title, columns, rows }: Table): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.map(cellText).join(" | ")} |\n`;
  return `${title}\n\n${line(columns)}${line(columns.map(() => "---"))}${rows.map(line).join("")}`;
}

function cellText(cell: string | number): string {
  if (typeof cell === "string") {
    return cell;
  }
  return cell.toLocaleString("en", Math.abs(cell) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}
