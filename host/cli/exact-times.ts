/**
 * Times of files to the nanosecond. Node.js sets them as a number of seconds, which holds some tenths of a µs; what a program has set is
 * remembered here, and told for as long as the file has the time that came of it.
 */
import type { BigIntStats } from "node:fs";
import { type FileStat, type FileTimes, FileType } from "../abi/wasi/index.ts";

interface Exact {
  /** As the system tells them. */
  readonly toldAccessNs: bigint;
  readonly toldModificationNs: bigint;
  readonly accessNs: bigint;
  readonly modificationNs: bigint;
}

const NS_PER_S = 1e9;
/** Files remembered; the oldest goes. */
const FILES_MAX = 10_000;

export class ExactTimes {
  readonly #byFile = new Map<string, Exact>();

  stat(stats: BigIntStats): FileStat {
    const { accessNs, modificationNs } = this.#exactly(stats);
    return {
      device: stats.dev,
      ino: stats.ino,
      type: typeOf(stats),
      linkCount: stats.nlink,
      sizeBytes: stats.size,
      accessNs,
      modificationNs,
      changeNs: stats.ctimeNs,
    };
  }

  /** @param set  sets them, in s @param after  reads them again */
  set(
    before: BigIntStats,
    wanted: FileTimes,
    set: (accessS: number, modificationS: number) => void,
    after: () => BigIntStats,
  ): void {
    const now = this.#exactly(before);
    const accessNs = wanted.accessNs ?? now.accessNs;
    const modificationNs = wanted.modificationNs ?? now.modificationNs;
    set(Number(accessNs) / NS_PER_S, Number(modificationNs) / NS_PER_S);
    const { atimeNs, mtimeNs } = after();
    const [oldest] = this.#byFile.keys();
    if (this.#byFile.size === FILES_MAX && oldest !== undefined) {
      this.#byFile.delete(oldest);
    }
    this.#byFile.set(fileName(before), { toldAccessNs: atimeNs, toldModificationNs: mtimeNs, accessNs, modificationNs });
  }

  #exactly(stats: BigIntStats): { accessNs: bigint; modificationNs: bigint } {
    const exact = this.#byFile.get(fileName(stats));
    return {
      accessNs: exact?.toldAccessNs === stats.atimeNs ? exact.accessNs : stats.atimeNs,
      modificationNs: exact?.toldModificationNs === stats.mtimeNs ? exact.modificationNs : stats.mtimeNs,
    };
  }
}

function fileName({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

export function typeOf(stats: BigIntStats): FileType {
  if (stats.isFile()) {
    return FileType.file;
  }
  if (stats.isDirectory()) {
    return FileType.folder;
  }
  return stats.isSymbolicLink() ? FileType.link : stats.isCharacterDevice() ? FileType.characterDevice : FileType.unknown;
}
