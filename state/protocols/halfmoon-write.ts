/**
 * Halfmoon-write: a write appends no step, a read is one.
 *
 * An object has a latest value only, with a version: (seqnum of the writer's last own record, role, number of the write since). A
 * write that is made again has the same version, and one that comes late a lower one: both change nothing and count as done. A read
 * logs what it found, so that a replay computes the same and its writes have the same versions. Source: Halfmoon (SOSP '23), log-free
 * writes; the number makes consecutive writes distinct, the role a child's from its caller's.
 *
 * Writes under one cursor commute as far as others can tell: who sees the second of them, on another object, may miss the first. A read
 * or another step between them orders them.
 */
import type { SeqNum, Tag } from "../ids.ts";
import type { CellVersion, CellWrite } from "../logbook/index.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { encodeStep, fingerprint, NO_FINGERPRINT } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { encodeObjectValue, type ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import { Fenced } from "./fenced.ts";
import { LoggedReadProtocol } from "./logged-read-protocol.ts";
import type { UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

const EMPTY = new Uint8Array(0);

export class HalfmoonWrite extends LoggedReadProtocol {
  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    super(steps, blobs, turns, "cell");
  }

  override write(key: string, value: ObjectValue, _valueCrc: number): Promise<void> {
    return this.#write(key, value);
  }

  override update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    return updateCell(this.steps, this.turns, { key, version, value, valueCrc, tags: [] });
  }

  override delete(key: string): Promise<void> {
    return this.#write(key, null);
  }

  async #write(key: string, value: ObjectValue | null): Promise<void> {
    await this.steps.anchor();
    await writeCell(this.steps, key, this.steps.nextVersion(), value);
  }
}

/**
 * Makes the value (null: a delete) the cell's latest, unless it has this version or a newer one: then the write is done as well. What
 * stands before a step that is in the log, or before the wait of a PIN, was done then: the cell may have forgotten by now that it was (F25).
 * @throws Fenced  the instance is done, or goes on elsewhere
 */
export async function writeCell(steps: StepStream, key: string, version: CellVersion, value: ObjectValue | null): Promise<void> {
  if (steps.replaying || steps.hasWritten(version)) {
    return;
  }
  const write: CellWrite = { key, version, initialCursor: steps.readsFrom, writer: steps.tag, ...entryOf(value) };
  const outcome = await steps.book.writeCell(write);
  switch (outcome.kind) {
    case "stale":
      throw steps.fence(new Fenced("restart", `the initial cursor is below the floor ${outcome.floor}`));
    case "closed":
      throw steps.fence(new Fenced("closed", "the instance is done"));
    case "badPosition":
      throw steps.fence(new Fenced("badPosition", "another attempt goes on after a long wait"));
    default:
      steps.consulted(outcome.seqnum);
      steps.wrote(version);
  }
}

/** Kind, data and blobs of an entry that gives an object this value. */
export function entryOf(value: ObjectValue | null): Pick<CellWrite, "kind" | "data" | "blobs"> {
  const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, value === null ? EMPTY : encodeObjectValue(value));
  return {
    kind: value === null ? RecordKind.delete : RecordKind.write,
    data,
    ...(value?.kind === "blob" && { blobs: [value.ref] }),
  };
}

/** One step that changes the cell if its newest write is the one that was read, decided by the owner in one tick (F14). */
export async function updateCell(
  steps: StepStream,
  turns: ObjectTurns,
  update: {
    readonly key: string;
    readonly version: SeqNum;
    readonly value: ObjectValue;
    readonly valueCrc: number;
    /** Besides the instance's own. */
    readonly tags: readonly Tag[];
  },
): Promise<UpdateOutcome> {
  const { key, version, value, valueCrc, tags } = update;
  const readAt = steps.cursor;
  const done = await steps.step({
    kind: RecordKind.write,
    fingerprint: fingerprint(`${version} ${key}`, valueCrc),
    payload: encodeObjectValue(value),
    tags,
    cell: key,
    when: [{ tag: objectTag(key), newest: version }],
    ...(value.kind === "blob" && { blobs: [value.ref] }),
  });
  const { kind, timeMs } = done.record;
  if (kind === RecordKind.conflict) {
    turns.afterConflict(key, readAt);
    return { kind: "conflict", timeMs };
  }
  turns.end(key);
  return { kind: "applied", timeMs };
}
