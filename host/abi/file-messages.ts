/** Operations on the tenant's shared files that are not those of objects, and which objects the files are. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";

/** The shared file `a/b` is the object `files/a/b`; an empty folder `a` is the object `files/a/`. */
export const FILES_PREFIX = "files/";

/** Code of a fileFind reply. */
export const FileKind = { none: 0, file: 1, folder: 2 } as const;

export interface ListedFile {
  readonly name: string;
  readonly isFolder: boolean;
}

export const fileFindArgs = {
  encode: (path: string) => new ByteWriter(64).text(path).view(),
  decode: (bytes: Uint8Array) => ({ path: new ByteReader(bytes).text() }),
};

/** The bytes of a reply of FileKind.file; its time is that of the version. */
export const fileFindReply = {
  encode: (sizeBytes: number, version: number) => new ByteWriter(16).f64(sizeBytes).f64(version).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { sizeBytes: r.f64(), version: r.f64() };
  },
};

/** `folder`: empty, or with a slash at its end. `after`: "" or `positionOf` the last entry before. */
export const fileListArgs = {
  encode: (a: { folder: string; after: string; limit: number }) =>
    new ByteWriter(64).text(a.folder).text(a.after).u32(a.limit).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { folder: r.text(), after: r.text(), limit: r.u32() };
  },
};

/** The code of the reply is the number of entries; none at the end. */
export const fileListReply = {
  encode: (entries: readonly ListedFile[]) => {
    const w = new ByteWriter(64 + entries.length * 32);
    for (const { name, isFolder } of entries) {
      w.u8(isFolder ? 1 : 0).text(name);
    }
    return w.view();
  },
  decode: (bytes: Uint8Array): ListedFile[] => {
    const r = new ByteReader(bytes);
    const entries: ListedFile[] = [];
    while (r.remaining > 0) {
      entries.push({ isFolder: r.u8() === 1, name: r.text() });
    }
    return entries;
  },
};

/** Where a list goes on behind an entry: of a folder, behind all that is in it. */
export function positionOf({ name, isFolder }: ListedFile): string {
  return isFolder ? `${name}/` : name;
}
