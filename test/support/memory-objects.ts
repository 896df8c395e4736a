/** Objects of a MemoryHost as an attempt's protocol shows them, for reads alone. */
import { seqNum } from "../../state/ids.ts";
import type { ListedObject } from "../../state/logbook/logbook.ts";
import type { ObjectProtocol, ObjectRead } from "../../state/protocols/index.ts";
import type { MemoryHost } from "./memory-guest.ts";

const unused = () => Promise.reject(new Error("only reads are asked for"));

export function memoryObjects({ objects, timeMs }: MemoryHost): ObjectProtocol {
  const read = async (key: string, offset: number, maxBytes: number): Promise<ObjectRead> => {
    const stored = objects.get(key);
    if (stored === undefined || stored.bytes === null) {
      return { kind: "absent", version: seqNum(0), timeMs: 0 };
    }
    const { bytes, version } = stored;
    const slice = bytes.subarray(offset, offset + maxBytes);
    return { kind: "found", sizeBytes: bytes.byteLength, version: seqNum(version), bytes: slice, timeMs };
  };
  const list = async (prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> =>
    [...objects]
      .filter(([key, { bytes }]) => bytes !== null && key.startsWith(prefix) && compare(key, after) > 0)
      .sort(([a], [b]) => compare(a, b))
      .slice(0, limit)
      .map(([key, { bytes, version }]) => ({
        key,
        sizeBytes: bytes?.byteLength ?? 0,
        seqnum: seqNum(version),
        home: "versions",
      }));
  return { read, list, readForUpdate: unused, write: unused, update: unused, delete: unused, close: () => {} };
}

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
