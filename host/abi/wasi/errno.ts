/** Error numbers of WASI preview 1, and how its imports answer them. Source of the numbers: WebAssembly/WASI, legacy/preview1/docs.md. */

/** Those that this host answers. */
export const Errno = {
  success: 0,
  acces: 2,
  again: 6,
  badf: 8,
  busy: 10,
  exist: 20,
  fault: 21,
  fbig: 22,
  ilseq: 25,
  inval: 28,
  io: 29,
  isdir: 31,
  loop: 32,
  mfile: 33,
  mlink: 34,
  nametoolong: 37,
  noent: 44,
  nospc: 51,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  notsup: 58,
  perm: 63,
  pipe: 64,
  rofs: 69,
  spipe: 70,
  stale: 72,
  xdev: 75,
  notcapable: 76,
} as const;

export type Errno = (typeof Errno)[keyof typeof Errno];

/** Thrown inside of an import, which answers the number. */
export class WasiError extends Error {
  override name = "WasiError";
  readonly errno: Errno;
  constructor(errno: Errno) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

export function fail(name: keyof typeof Errno): never {
  throw new WasiError(Errno[name]);
}

/** The value of an import that answers an error number. What is no WasiError goes on: it ends the call. */
export function errnoOf(run: () => void): Errno {
  try {
    run();
    return Errno.success;
  } catch (error) {
    if (error instanceof WasiError) {
      return error.errno;
    }
    throw error;
  }
}
