// Input "<ms>": counts, sleeps, and reads on. Its log shows how often it began. Input "call <name> <input>" waits for a call instead,
// "lock" for a lock, which "hold <ms>" has while it sleeps.
import { call, input, lock, log, objects, output, sleep, unlock } from "../../../guest-sdk/assembly";

export function main(): i32 {
  log("began");
  const words = input().split(" ");
  const count = objects.update("count", (old) => (old === null ? "1" : (I64.parseInt(old) + 1).toString()));
  let told = "";
  if (words[0] == "call") {
    told = call(words[1], words[2]).text;
  } else if (words[0] == "lock") {
    const before = objects.get("signal");
    lock("gate");
    unlock("gate");
    told = before === null ? "nothing" : before;
  } else if (words[0] == "hold") {
    lock("gate");
    sleep(I64.parseInt(words[1]));
    unlock("gate");
  } else {
    sleep(I64.parseInt(words[0]));
  }
  const signal = objects.get("signal");
  objects.put("late", count);
  output(`count ${count} signal ${signal === null ? "none" : signal} ${told}`);
  return 0;
}
