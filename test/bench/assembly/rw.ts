// Input "<reads> <bytes> <key> <key> …": reads so many of the keys, then writes the others with values of so many bytes.
import { input, objects, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  const reads = I32.parseInt(words[0]);
  const value = "x".repeat(I32.parseInt(words[1]));
  for (let i = 2; i < words.length; i++) {
    if (i < reads + 2) {
      objects.get(words[i]);
    } else {
      objects.put(words[i], value);
    }
  }
  output("ok");
  return 0;
}
