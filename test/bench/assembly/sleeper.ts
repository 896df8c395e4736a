// What the hello sample does, after a sleep of as many milliseconds as the input says.
import { input, output, sleep } from "../../../guest-sdk/assembly";

export function main(): i32 {
  sleep(I64.parseInt(input()));
  output("Hello, world!");
  return 0;
}
