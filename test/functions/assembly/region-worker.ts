/** Does to a region what its input says. */
import { input, MemoryRegion, output } from "../../../guest-sdk/assembly";
import * as raw from "../../../guest-sdk/assembly/region-imports";

export function main(): i32 {
  const words = input().split(" ");
  const verb = words[0];
  if (verb == "peek") {
    output(raw.i32Load(<i32>I64.parseInt(words[1]), <u32>I64.parseInt(words[2])).toString());
    return 0;
  }
  const region = MemoryRegion.open(words[1], 64);
  if (verb == "add") {
    for (let left = I32.parseInt(words[2]); left > 0; left--) region.atomicAdd<i32>(0, 1);
  } else if (verb == "get") {
    output(region.load<i32>(0).toString());
  } else if (verb == "mark") {
    output(region.atomicLoad<i32>(4).toString());
  } else if (verb == "handle") {
    output(region.handle.toString());
  } else if (verb == "hold") {
    region.lockWrite();
    region.atomicStore<i32>(4, 1);
    while (true) region.store<i32>(8, region.load<i32>(8) + 1);
  } else if (verb == "next") {
    while (region.atomicLoad<i32>(4) == 0) region.wait(4, 0, 5);
    const abandoned = region.lockWrite();
    const before = region.load<i32>(8);
    region.wait(12, 0, 50);
    output(abandoned.toString() + " " + (before > 0).toString() + " " + (region.load<i32>(8) == before).toString());
  } else if (verb == "wait") {
    output((<i32>region.wait(0, 0)).toString());
  } else if (verb == "wake") {
    while (region.notify(0) == 0) region.wait(4, 0, 1);
  }
  return 0;
}
