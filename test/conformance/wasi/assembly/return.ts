import { print } from "./wasi";

export function _start(): void {
  print(1, "out\n");
  print(2, "err\n");
}
