// Input "<milliseconds>": sleeps for so long, then answers "awake".
import { input, output, sleep } from "../../../guest-sdk/assembly";

export function main(): i32 {
  sleep(I64.parseInt(input()));
  output("awake");
  return 0;
}
