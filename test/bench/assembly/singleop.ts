// Input "<read key> <written key> <bytes>": one read, one write, one call of a function that does nothing.
import { call, input, objects, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  objects.get(words[0]);
  objects.put(words[1], "x".repeat(I32.parseInt(words[2])));
  call("noop", "");
  output("ok");
  return 0;
}
