// Input "<group> <count>": opens the shared file "bench" and calls WASI that many times with it, or with a file of the call's own.
import { input, output } from "../../../guest-sdk/assembly";

@external("wasi_snapshot_preview1", "path_open")
declare function pathOpen(
  fd: i32,
  lookup: i32,
  path: usize,
  length: i32,
  how: i32,
  rights: i64,
  inheriting: i64,
  flags: i32,
  opened: usize,
): i32;
@external("wasi_snapshot_preview1", "fd_close")
declare function fdClose(fd: i32): i32;
@external("wasi_snapshot_preview1", "fd_pread")
declare function fdPread(fd: i32, list: usize, count: i32, offset: i64, size: usize): i32;
@external("wasi_snapshot_preview1", "fd_pwrite")
declare function fdPwrite(fd: i32, list: usize, count: i32, offset: i64, size: usize): i32;

const room = memory.data(256);
const ROOT = 3;
const CREATE = 1;
const READ_SEEK_WRITE: i64 = 0x46;
const PIECE_BYTES = 64;
const FILE_BYTES = 1024 * 1024;

function open(path: string, how: i32): i32 {
  const name = String.UTF8.encode(path);
  const failed = pathOpen(ROOT, 0, changetype<usize>(name), name.byteLength, how, READ_SEEK_WRITE, 0, 0, room + 16);
  return failed ? -failed : load<i32>(room + 16);
}

export function main(): i32 {
  const words = input().split(" ");
  const count = I32.parseInt(words[1]);
  store<usize>(room, room + 32);
  store<i32>(room + 4, PIECE_BYTES);
  let failed = 0;
  if (words[0] == "open") {
    for (let i = 0; i < count; i++) failed |= fdClose(open("bench", 0));
  } else if (words[0] == "read") {
    const fd = open("bench", 0);
    for (let i = 0; i < count; i++) failed |= fdPread(fd, room, 1, (i * PIECE_BYTES) % FILE_BYTES, room + 8);
  } else if (words[0] == "write") {
    const fd = open("own", CREATE);
    for (let i = 0; i < count; i++) failed |= fdPwrite(fd, room, 1, 0, room + 8);
  }
  output("ok");
  return failed;
}
