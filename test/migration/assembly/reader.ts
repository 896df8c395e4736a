// Input "<times>": counts, and reads the object "large" so often, a piece at a time. Its log shows how often it began.
import { input, log, objects, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  log("began");
  const count = objects.update("count", (old) => (old === null ? "1" : (I64.parseInt(old) + 1).toString()));
  const times = I32.parseInt(input());
  let sum: u64 = 0;
  for (let i = 0; i < times; i++) {
    const bytes = objects.getBytes("large");
    if (bytes === null) return 2;
    for (let at = 0; at < bytes.length; at += 4099) sum += bytes[at];
    bytes.fill(0);
  }
  output(`count ${count} sum ${sum}`);
  return 0;
}
