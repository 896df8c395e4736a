import { proc_exit } from "./wasi";

export function _start(): void {
  proc_exit(13);
}
