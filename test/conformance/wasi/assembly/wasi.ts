/** What the programs of this suite need of WASI, and how they fail: with a line on standard error and exit code 1. */

@external("wasi_snapshot_preview1", "args_sizes_get")
export declare function args_sizes_get(count: usize, bytes: usize): i32;
@external("wasi_snapshot_preview1", "args_get")
export declare function args_get(pointers: usize, texts: usize): i32;
@external("wasi_snapshot_preview1", "environ_sizes_get")
export declare function environ_sizes_get(count: usize, bytes: usize): i32;
@external("wasi_snapshot_preview1", "environ_get")
export declare function environ_get(pointers: usize, texts: usize): i32;
@external("wasi_snapshot_preview1", "fd_read")
export declare function fd_read(fd: i32, buffers: usize, count: i32, size: usize): i32;
@external("wasi_snapshot_preview1", "fd_write")
export declare function fd_write(fd: i32, buffers: usize, count: i32, size: usize): i32;
@external("wasi_snapshot_preview1", "fd_close")
export declare function fd_close(fd: i32): i32;
@external("wasi_snapshot_preview1", "fd_seek")
export declare function fd_seek(fd: i32, delta: i64, whence: i32, offset: usize): i32;
@external("wasi_snapshot_preview1", "fd_prestat_get")
export declare function fd_prestat_get(fd: i32, stat: usize): i32;
@external("wasi_snapshot_preview1", "fd_filestat_get")
export declare function fd_filestat_get(fd: i32, stat: usize): i32;
@external("wasi_snapshot_preview1", "fd_filestat_set_times")
export declare function fd_filestat_set_times(fd: i32, access: i64, modification: i64, flags: i32): i32;
@external("wasi_snapshot_preview1", "fd_readdir")
export declare function fd_readdir(fd: i32, room: usize, length: i32, cookie: i64, size: usize): i32;
@external("wasi_snapshot_preview1", "path_open")
export declare function path_open(
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
@external("wasi_snapshot_preview1", "path_create_directory")
export declare function path_create_directory(fd: i32, path: usize, length: i32): i32;
@external("wasi_snapshot_preview1", "path_remove_directory")
export declare function path_remove_directory(fd: i32, path: usize, length: i32): i32;
@external("wasi_snapshot_preview1", "path_unlink_file")
export declare function path_unlink_file(fd: i32, path: usize, length: i32): i32;
@external("wasi_snapshot_preview1", "path_symlink")
export declare function path_symlink(text: usize, textLength: i32, fd: i32, path: usize, length: i32): i32;
@external("wasi_snapshot_preview1", "poll_oneoff")
export declare function poll_oneoff(subscriptions: usize, events: usize, count: i32, size: usize): i32;
@external("wasi_snapshot_preview1", "clock_time_get")
export declare function clock_time_get(clock: i32, precision: i64, time: usize): i32;
@external("wasi_snapshot_preview1", "proc_exit")
export declare function proc_exit(code: i32): void;

/** Room for results. */
export const result = memory.data(256);
const buffers = memory.data(16);

export function print(fd: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<usize>(buffers, changetype<usize>(bytes));
  store<i32>(buffers, bytes.byteLength, 4);
  fd_write(fd, buffers, 1, result);
}

/** Up to 256 bytes as text. */
export function read(fd: i32): string {
  const room = new ArrayBuffer(256);
  store<usize>(buffers, changetype<usize>(room));
  store<i32>(buffers, 256, 4);
  expect("fd_read", fd_read(fd, buffers, 1, result), 0);
  return String.UTF8.decodeUnsafe(changetype<usize>(room), load<i32>(result));
}

export function expect(what: string, found: i64, wanted: i64): void {
  if (found != wanted) {
    print(2, what + " is " + found.toString() + ", must be " + wanted.toString() + "\n");
    proc_exit(1);
  }
}

/** Texts as args_get and environ_get store them. */
export function texts(count: i32, pointers: usize): string[] {
  const found: string[] = [];
  for (let at = 0; at < count; at++) {
    found.push(String.UTF8.decodeUnsafe(load<usize>(pointers + at * 4), 1 << 20, true));
  }
  return found;
}

export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  print(2, "aborted at " + (file === null ? "?" : file) + ":" + line.toString() + ":" + column.toString() + "\n");
  proc_exit(1);
}
