// Input "<group> <count>": calls WASI that many times. Imports no path_open, as programs that only print.
import { input, output } from "../../../guest-sdk/assembly";

@external("wasi_snapshot_preview1", "clock_time_get")
declare function clockTimeGet(clock: i32, precision: i64, pointer: usize): i32;
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environSizesGet(count: usize, bytes: usize): i32;
@external("wasi_snapshot_preview1", "fd_write")
declare function fdWrite(fd: i32, list: usize, count: i32, size: usize): i32;
@external("wasi_snapshot_preview1", "random_get")
declare function randomGet(pointer: usize, length: i32): i32;

const room = memory.data(64);
const OUTPUT = 1;
const WRITTEN_BYTES = 16;

export function main(): i32 {
  const words = input().split(" ");
  const count = I32.parseInt(words[1]);
  let failed = 0;
  if (words[0] == "clock") {
    for (let i = 0; i < count; i++) failed |= clockTimeGet(0, 0, room);
  } else if (words[0] == "env") {
    for (let i = 0; i < count; i++) failed |= environSizesGet(room, room + 8);
  } else if (words[0] == "random") {
    for (let i = 0; i < count; i++) failed |= randomGet(room, WRITTEN_BYTES);
  } else if (words[0] == "stdio") {
    store<usize>(room, room + 32);
    store<i32>(room + 4, WRITTEN_BYTES);
    for (let i = 0; i < count; i++) failed |= fdWrite(OUTPUT, room, 1, room + 8);
  }
  output("ok");
  return failed;
}
