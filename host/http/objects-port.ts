/** What the object routes need of the layers below. */
import type { LogBookId, SeqNum } from "../../state/ids.ts";
import type { ListedObject } from "../../state/logbook/logbook.ts";

export interface StoredObject {
  readonly sizeBytes: number;
  /** The object's bytes in order, of one version. Ending the iteration early frees what it holds. */
  readonly stream: AsyncIterable<Uint8Array>;
}

/** Objects of a tenant as a client sees them: every method resolves only when what it tells is durable (F8). */
export interface Objects {
  /**
   * Writes a new version when `body` has ended; when `body` throws nothing is written and the error is passed on.
   * @throws OBJECT_TOO_LARGE  `body` has more than `maxBytes`
   */
  put(
    tenant: LogBookId,
    key: string,
    body: AsyncIterable<Uint8Array>,
    maxBytes: number,
  ): Promise<{ sizeBytes: number; seqnum: SeqNum }>;
  /** The newest version, or null when there is none. */
  get(tenant: LogBookId, key: string): Promise<StoredObject | null>;
  /** Whether there was something to remove. */
  remove(tenant: LogBookId, key: string): Promise<boolean>;
  /** In the order of the key's UTF-8 bytes: those with the prefix and after `after`, at most `limit`. */
  list(tenant: LogBookId, prefix: string, after: string, limit: number): Promise<readonly ListedObject[]>;
}
