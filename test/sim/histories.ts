import type { Evidence, Judged } from "./verdict.ts";
export function checkHistories(_judged: Judged, _evidence: Evidence): void {}
