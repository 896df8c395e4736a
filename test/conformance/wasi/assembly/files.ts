import {
  expect,
  fd_close,
  fd_filestat_get,
  fd_filestat_set_times,
  fd_readdir,
  fd_seek,
  path_create_directory,
  path_open,
  path_remove_directory,
  path_symlink,
  path_unlink_file,
  print,
  read,
  result,
} from "./wasi";

const ROOT = 3;
const ALL: i64 = (1 << 28) - 1;
const CREATE = 1;
const FOLLOW = 1;
const NOT_CAPABLE = 76;

function path(text: string): ArrayBuffer {
  return String.UTF8.encode(text);
}

function open(text: string, how: i32): i32 {
  const name = path(text);
  const errno = path_open(ROOT, FOLLOW, changetype<usize>(name), name.byteLength, how, ALL, ALL, 0, result);
  return errno == 0 ? load<i32>(result) : -errno;
}

export function _start(): void {
  const folder = path("made");
  expect("path_create_directory", path_create_directory(ROOT, changetype<usize>(folder), folder.byteLength), 0);
  const fd = open("made/file", CREATE);
  print(fd, "größer");
  expect("fd_seek", fd_seek(fd, 0, 0, result), 0);
  expect("what was written is read", i64(read(fd) == "größer"), 1);

  expect("fd_filestat_get", fd_filestat_get(fd, result), 0);
  expect("size", load<i64>(result, 32), 8);
  const access = load<i64>(result, 40);
  const modification = load<i64>(result, 48) - 101;
  expect("fd_filestat_set_times", fd_filestat_set_times(fd, 0, modification, 4), 0);
  expect("fd_filestat_get", fd_filestat_get(fd, result), 0);
  expect("access time", load<i64>(result, 40), access);
  expect("modification time, to the ns", load<i64>(result, 48), modification);
  expect("fd_close", fd_close(fd), 0);

  // Files of the suite's user lie beside the folder.
  expect("..", open("../secret", 0), -NOT_CAPABLE);
  expect("an absolute path", open("/secret", 0), -NOT_CAPABLE);
  expect("an absolute link", open("absolute", 0), -NOT_CAPABLE);
  expect("a link out of the folder", open("out", 0), -NOT_CAPABLE);
  expect("a file below such a link", open("out-folder/secret", 0), -NOT_CAPABLE);
  const target = path("../made/file");
  const link = path("made/link");
  expect("path_symlink", path_symlink(changetype<usize>(target), target.byteLength, ROOT, changetype<usize>(link), link.byteLength), 0);
  expect("a link that stays", i64(open("made/link", 0) > ROOT), 1);

  expect("fd_readdir", fd_readdir(ROOT, result, 24, 0, result + 100), 0);
  expect("the first entry is .", load<i32>(result, 16), 1);

  for (let at = 0; at < 2; at++) {
    const name = path(at == 0 ? "made/link" : "made/file");
    expect("path_unlink_file", path_unlink_file(ROOT, changetype<usize>(name), name.byteLength), 0);
  }
  expect("path_remove_directory", path_remove_directory(ROOT, changetype<usize>(folder), folder.byteLength), 0);
  print(1, "done\n");
}
