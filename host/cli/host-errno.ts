/** What the operating system refuses, as error numbers of WASI. */
import { Errno, WasiError } from "../abi/wasi/index.ts";

const BY_CODE: Readonly<Record<string, Errno>> = {
  EACCES: Errno.acces,
  EAGAIN: Errno.again,
  EBADF: Errno.badf,
  EBUSY: Errno.busy,
  EDQUOT: Errno.nospc,
  EEXIST: Errno.exist,
  EFBIG: Errno.fbig,
  EINVAL: Errno.inval,
  EISDIR: Errno.isdir,
  ELOOP: Errno.loop,
  EMFILE: Errno.mfile,
  EMLINK: Errno.mlink,
  ENAMETOOLONG: Errno.nametoolong,
  ENOENT: Errno.noent,
  ENOSPC: Errno.nospc,
  ENOTDIR: Errno.notdir,
  ENOTEMPTY: Errno.notempty,
  EPERM: Errno.perm,
  EPIPE: Errno.pipe,
  EROFS: Errno.rofs,
  EXDEV: Errno.xdev,
};

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** @throws WasiError for what the operating system says; io for a refusal that has no number here */
export function refuse(error: unknown): never {
  if (error instanceof WasiError || codeOf(error) === "") {
    throw error;
  }
  throw new WasiError(BY_CODE[codeOf(error)] ?? Errno.io);
}

/** Runs a call of the operating system. @throws WasiError when it is refused */
export function system<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    return refuse(error);
  }
}
