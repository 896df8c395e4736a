import { expect, fd_prestat_get, result } from "./wasi";

export function _start(): void {
  expect("fd_prestat_get", fd_prestat_get(3, result), 8);
}
