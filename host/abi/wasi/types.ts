/** Numbers of WASI preview 1 that guests and host exchange: types of files, flags, rights. Source: WebAssembly/WASI, legacy/preview1/docs.md. */

export const FileType = { unknown: 0, characterDevice: 2, folder: 3, file: 4, link: 7 } as const;
export type FileType = (typeof FileType)[keyof typeof FileType];

export const LOOKUP_FOLLOW = 1;

export const OpenFlag = { create: 1, folder: 2, exclusive: 4, truncate: 8 } as const;
export const OPEN_FLAGS_ALL = 15;

export const FdFlag = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const FD_FLAGS_ALL = 31;

export const TimeFlag = { access: 1, accessNow: 2, modification: 4, modificationNow: 8 } as const;
export const TIME_FLAGS_ALL = 15;

export const Whence = { set: 0, current: 1, end: 2 } as const;

export const ClockId = { realtime: 0, monotonic: 1 } as const;

export const EventType = { clock: 0, read: 1, write: 2 } as const;

/** What may be done with a descriptor, as bits. */
export const Right = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  pathCreateDirectory: 1 << 9,
  pathCreateFile: 1 << 10,
  pathLinkSource: 1 << 11,
  pathLinkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathRenameSource: 1 << 16,
  pathRenameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathFilestatSetSize: 1 << 19,
  pathFilestatSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdFilestatSetSize: 1 << 22,
  fdFilestatSetTimes: 1 << 23,
  pathSymlink: 1 << 24,
  pathRemoveDirectory: 1 << 25,
  pathUnlinkFile: 1 << 26,
  pollFdReadwrite: 1 << 27,
} as const;

/** Rights on sockets are none of these: there are no sockets. */
export const RIGHTS_ALL = (1 << 28) - 1;

const BOTH =
  Right.fdFdstatSetFlags |
  Right.fdSync |
  Right.fdDatasync |
  Right.fdFilestatGet |
  Right.fdFilestatSetTimes |
  Right.pollFdReadwrite;

/** What a descriptor of a file can have. */
export const RIGHTS_OF_FILE =
  BOTH | Right.fdRead | Right.fdSeek | Right.fdTell | Right.fdWrite | Right.fdAdvise | Right.fdAllocate | Right.fdFilestatSetSize;

/** What a descriptor of a folder can have itself; those opened through it can have more. */
export const RIGHTS_OF_FOLDER =
  BOTH |
  Right.fdReaddir |
  Right.pathCreateDirectory |
  Right.pathCreateFile |
  Right.pathLinkSource |
  Right.pathLinkTarget |
  Right.pathOpen |
  Right.pathReadlink |
  Right.pathRenameSource |
  Right.pathRenameTarget |
  Right.pathFilestatGet |
  Right.pathFilestatSetSize |
  Right.pathFilestatSetTimes |
  Right.pathSymlink |
  Right.pathRemoveDirectory |
  Right.pathUnlinkFile;

export const RIGHTS_OF_INPUT = Right.fdRead | Right.fdFdstatSetFlags | Right.fdFilestatGet | Right.pollFdReadwrite;
export const RIGHTS_OF_OUTPUT = Right.fdWrite | Right.fdFdstatSetFlags | Right.fdFilestatGet | Right.pollFdReadwrite;

/** As a guest gives rights. Bits that mean nothing here are dropped: some programs ask for all 64. */
export function rightsOf(bits: bigint): number {
  return Number(bits & BigInt(RIGHTS_ALL));
}
