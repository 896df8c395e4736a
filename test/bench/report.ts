/** The results as a table for people. */
import { isMet, type Row, type Unit } from "./bench-case.ts";
import type { Machine } from "./machine.ts";

/** What one case gave. */
export interface CaseResult {
  readonly name: string;
  readonly measures: string;
  readonly seconds: number;
  /** Share of the machine's CPU that was in use right before, by others. */
  readonly busyShare: number;
  /** Share of the machine's CPU time that the hypervisor gave to other machines meanwhile. */
  readonly stealShare: number;
  readonly rows: readonly Row[];
  /** Why it failed; null when it did not. */
  readonly failure: string | null;
}

export function describeMachine({ cores, processor, memoryBytes, kernel, node, v8 }: Machine): string {
  const memory = `${Math.round(memoryBytes / 2 ** 30)} GiB`;
  return `${cores} cores (${processor}), ${memory}, Linux ${kernel}, Node ${node}, V8 ${v8}\n`;
}

export function describeCase({ name, measures, seconds, busyShare, stealShare, rows, failure }: CaseResult): string {
  const cpu = `${percent(busyShare)} of the CPU in use before, ${percent(stealShare)} stolen meanwhile`;
  const head = `\n${name}: ${measures}\n  (${seconds.toFixed(1)} s; ${cpu})\n`;
  const width = Math.max(0, ...rows.map(({ what }) => what.length));
  const lines = rows.map((row) => {
    const value = `${formatNumber(row.value, row.unit)} ${row.unit}`;
    return `  ${row.what.padEnd(width)}  ${value.padStart(18)}  ${describeBar(row)}`.trimEnd();
  });
  return `${head}${lines.map((line) => `${line}\n`).join("")}${failure === null ? "" : `  FAILED: ${failure}\n`}`;
}

/** "bar ≥ 0.6: missed by 12 %", or nothing. */
function describeBar({ value, unit, bar }: Row): string {
  if (bar === undefined) {
    return "";
  }
  const sign = bar.limit === "at least" ? "≥" : "≤";
  const by = `${(Math.abs(value / bar.value - 1) * 100).toFixed(0)} %`;
  return `bar ${sign} ${formatNumber(bar.value, unit)}: ${isMet(value, bar) ? "met" : "MISSED"} by ${by}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** Three digits that mean something; whole things whole. */
function formatNumber(value: number, unit: Unit): string {
  const whole = unit === "bytes" || unit === "KB" || Math.abs(value) >= 100;
  return value.toLocaleString("en", whole ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** Other work that a number may stand beside. */
const QUIET_SHARE = 0.1;

/** The last lines: how many bars, and which are missed. */
export function describeVerdict(results: readonly CaseResult[]): string {
  const judged = results
    .flatMap(({ name, rows }) => rows.map((row) => ({ name, row })))
    .filter(({ row }) => row.bar !== undefined);
  const missed = judged.filter(({ row }) => row.bar !== undefined && !isMet(row.value, row.bar));
  const failed = results.filter(({ failure }) => failure !== null);
  const disturbed = results.filter(({ busyShare, stealShare }) => Math.max(busyShare, stealShare) > QUIET_SHARE);
  const lines = [
    `${judged.length - missed.length} of ${judged.length} bars met`,
    ...missed.map(
      ({ name, row }) => `missed: ${name}, ${row.what}: ${formatNumber(row.value, row.unit)} ${row.unit}, ${describeBar(row)}`,
    ),
    ...failed.map(({ name, failure }) => `failed: ${name}: ${failure?.split("\n", 1)[0]}`),
    ...disturbed.map(({ name }) => `not to be relied on: ${name}, as other work kept the machine busy`),
  ];
  return `\n${lines.join("\n")}\n`;
}
