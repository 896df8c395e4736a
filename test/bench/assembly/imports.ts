// Input "<kind> <count>": calls the host that many times, each time in the same way.
import { input, now, objects, output } from "../../../guest-sdk/assembly";

const KEY = "imports/object";
const VALUE = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

export function main(): i32 {
  const words = input().split(" ");
  const count = I32.parseInt(words[1]);
  if (words[0] == "clock") {
    for (let i = 0; i < count; i++) now();
  } else if (words[0] == "read") {
    for (let i = 0; i < count; i++) objects.get(KEY);
  } else if (words[0] == "write") {
    for (let i = 0; i < count; i++) objects.put(KEY, VALUE);
  } else if (words[0] == "update") {
    for (let i = 0; i < count; i++) objects.update(KEY, (_old) => VALUE);
  }
  output("ok");
  return 0;
}
