// Input "write|update <count> <prefix>": that many durable steps, each on an object of its own below the prefix.
import { input, objects, output } from "../../../guest-sdk/assembly";

const VALUE = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

export function main(): i32 {
  const words = input().split(" ");
  const isPosted = words[0].startsWith("write");
  const count = I32.parseInt(words[1]);
  for (let i = 0; i < count; i++) {
    const key = `${words[2]}/${i}`;
    if (isPosted) {
      objects.put(key, VALUE);
    } else {
      objects.update(key, (_old) => VALUE);
    }
  }
  output("ok");
  return 0;
}
