/** Uses everything of regions once, and says what came of it. */
import { F32View, F64View, I32View, I64View, input, MemoryRegion, objects, output, RegionView, toText, U8View, Waited } from "../../../../guest-sdk/assembly";

export function main(): i32 {
  const region = MemoryRegion.open("all " + input(), 4096, 131072);
  line("size", region.sizeBytes.toString() + " " + (region.handle > 0).toString());
  region.grow(131072);
  line("grown", region.sizeBytes.toString() + " " + (MemoryRegion.find("none") === null).toString() + " " + (MemoryRegion.find("all " + input())!.handle == region.handle).toString());

  const f64s: F64View = region.view<f64>(0, 4);
  const f32s: F32View = region.view<f32>(32, 4);
  const i64s: I64View = region.view<i64>(64, 4);
  const i32s: I32View = region.view<i32>(96, 4);
  const u16s: RegionView<u16> = region.view<u16>(112, 2);
  const i16s: RegionView<i16> = region.view<i16>(112, 2);
  const u8s: U8View = region.view<u8>(120, 2);
  const i8s: RegionView<i8> = region.view<i8>(120, 2);
  f64s[1] = 1.5;
  f32s[2] = -2.5;
  i64s[3] = -(1 << 40);
  i32s[0] = -7;
  u16s[1] = 65535;
  i8s[1] = -1;
  line("views", [f64s[1].toString(), f32s[2].toString(), i64s[3].toString(), i32s[0].toString(), u16s[1].toString(), i16s[1].toString(), u8s[1].toString(), i8s[1].toString()].join(" "));
  line("length", region.view<i64>(8).length.toString());
  region.store<u32>(128, 42);
  line("load", region.load<u32>(128).toString());

  line("i32", region.atomicAdd<i32>(128, 5).toString() + " " + region.atomicSub<i32>(128, 1).toString() + " " + region.atomicAnd<i32>(128, 6).toString() + " " + region.atomicOr<i32>(128, 9).toString() + " " + region.atomicXor<i32>(128, 1).toString() + " " + region.atomicExchange<i32>(128, 3).toString() + " " + region.atomicCompareExchange<i32>(128, 3, 4).toString() + " " + region.atomicLoad<i32>(128).toString());
  region.atomicStore<i32>(128, 1);
  region.atomicStore<i64>(136, 1 << 40);
  line("i64", region.atomicAdd<i64>(136, 5).toString() + " " + region.atomicSub<i64>(136, 1).toString() + " " + region.atomicAnd<i64>(136, 6).toString() + " " + region.atomicOr<i64>(136, 9).toString() + " " + region.atomicXor<i64>(136, 1).toString() + " " + region.atomicExchange<i64>(136, 3).toString() + " " + region.atomicCompareExchange<i64>(136, 3, 4).toString() + " " + region.atomicLoad<i64>(136).toString());

  region.write(200, Uint8Array.wrap(String.UTF8.encode("hello")));
  region.fill(205, 33, 2);
  line("bytes", toText(region.read(200, 7)));

  line("locks", region.lockRead().toString());
  region.unlock();
  line("again", region.lockWrite().toString());
  region.unlock();
  line("wait", [<i32>region.wait(128, 2), <i32>region.wait(128, 1, 1), region.notify(128)].join(" ") + " " + (<i32>Waited.TIMED_OUT).toString());

  region.push("o", 200, 5);
  line("push", objects.get("o")!);
  region.append("o", 205, 2);
  line("append", objects.get("o")!);
  region.fill(300, 42, 3);
  region.pushPartial(300, 3, "o", 1);
  line("partial", objects.get("o")!);
  region.pushPartial(300, 1, "o", 9);
  line("behind", objects.size("o").toString());
  line("pull", region.pull("o", 400, 3, 1).toString() + " " + toText(region.read(400, 4).subarray(0, 3)) + " " + region.pull("none").toString());
  line("snapshot", toText(region.snapshot(200, 7)));
  return 0;
}

function line(name: string, text: string): void {
  output(name + ": " + text + "\n");
}
