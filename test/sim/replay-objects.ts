/** What an instance does to objects outside of transactions, by the rules of each protocol. */
import { ByteReader } from "../../state/bytes.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { keepsVersions, type Mode } from "../../state/logbook/modes.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { objectValueOf } from "../../state/objects/object-record.ts";
import type { ObjectAction } from "../support/history/objects.ts";
import type { FinalLog, Way } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import { brief, type Looked } from "./machine.ts";
import type { ReplayStream, WriteVersion } from "./replay-stream.ts";

/** An action on objects, at its place in the log: its record, or the moment of a read. */
export interface Done {
  readonly action: ObjectAction;
  readonly seqnum: number;
  readonly way: Way;
  /** What one instance does under one cursor: what of it appends no step has no order of its own. */
  readonly cursor: number;
}

/** A value, and where in the log it was found. */
interface Found {
  readonly text: string | null;
  /** The seqnum of the write; 0 for none. */
  readonly version: number;
  readonly at: number;
}

export class ReplayObjects {
  readonly done: Done[] = [];
  /** Versions of objects that are its own. */
  readonly wrote = new Set<number>();
  /** Objects that it has updated from what nobody knows, or may yet have written when it was over. */
  readonly vague = new Set<string>();
  readonly #log: FinalLog;
  readonly #stream: ReplayStream;
  readonly #protocol: Mode | null;
  /** Its last write under `unsafe`, at the earliest. */
  #left = 0;
  /** What the guest says that it has read next: the log does not know what `unsafe` has read. */
  readonly #told: () => Looked;

  constructor(log: FinalLog, stream: ReplayStream, protocol: Mode | null, told: () => Looked) {
    this.#log = log;
    this.#stream = stream;
    this.#protocol = protocol;
    this.#told = told;
  }

  read(key: string): string | null {
    const way = this.#wayOf(key);
    const isKnown = way !== "unsafe" || this.#told() !== undefined;
    const found = this.#find(key, way);
    if (isKnown) {
      this.#add(way, { kind: "read", key, value: brief(found.text) }, found.at);
    }
    return found.text;
  }

  /** @param text  null deletes */
  write(key: string, text: string | null): void {
    const way = this.#wayOf(key);
    const at = this.#write(key, text, way);
    if (at !== null) {
      this.#add(way, { kind: "write", key, value: brief(text) }, at);
    } else if (way === "unsafe") {
      this.vague.add(key);
    }
    if (way === "boki") {
      this.#stream.next(RecordKind.postWrite);
    }
  }

  list(prefix: string): readonly string[] {
    const way = this.#wayOfList(prefix);
    const { cursor, origin, instance } = this.#stream;
    let keys: readonly string[];
    let at = cursor;
    switch (way) {
      case "halfmoon-read":
        keys = this.#log.keysAt(prefix, cursor);
        break;
      case "unsafe": {
        const told = this.#told();
        if (told === undefined) {
          return [];
        }
        keys = Array.isArray(told) ? told : [];
        const found = this.#log.whenListed(prefix, keys, cursor, origin.endedAt);
        this.#demand(found !== undefined, `listed ${keys}`);
        at = found ?? cursor;
        break;
      }
      default: {
        const record = this.#stream.next(RecordKind.listed);
        keys = listedKeys(record);
        const found = this.#log.whenListed(prefix, keys, cursor, record.seqnum - 1);
        if (found === undefined) {
          throw new Error(`${instance} listed ${keys}, true at no time from ${cursor} to ${record.seqnum}`);
        }
        at = found;
      }
    }
    this.#add(way, { kind: "list", prefix, keys }, at);
    return keys;
  }

  update(key: string, change: (old: string | null) => string): string | null {
    const way = this.#wayOf(key);
    if (way === "unsafe") {
      return this.#updateUnsafe(key, change);
    }
    for (;;) {
      const { text: old, version } = this.#find(key, way);
      if (way === "boki") {
        this.#stream.next(RecordKind.preWrite);
      }
      const next = this.#stream.peek;
      if (next?.kind === RecordKind.conflict) {
        this.#stream.next(RecordKind.conflict);
        this.#stream.seen(next.timeMs);
        continue;
      }
      const value = change(old);
      const at = this.#step(key, value, way);
      const before = this.#log.versionAt(key, at - 1);
      if (version === 0 ? this.#log.text(before) !== null : before?.seqnum !== version) {
        throw new Error(`F14: an update of ${key} by ${this.#stream.instance} did not follow the version it had read`);
      }
      this.#stream.seen(next?.timeMs ?? 0);
      this.#add(way, { kind: "update", key, old, value }, at);
      return old;
    }
  }

  /** A read in a transaction, which found `version` at its moment: of what is not kept as versions it is a step (F37). */
  readInside(key: string, version: HistoryRecord | undefined): void {
    if (this.#wayOf(key) === "halfmoon-read") {
      this.#stream.see(version);
      return;
    }
    const record = this.#stream.next(RecordKind.read);
    const found = readOf(this.#log, record);
    const text = this.#log.text(version);
    if (found.text !== text || (text !== null && found.version !== version?.seqnum)) {
      const { instance } = this.#stream;
      throw new Error(
        `F37: ${instance} read ${found.text} of ${key} at ${record.seqnum}, at the moment of its transaction it was ${text}`,
      );
    }
    this.#stream.see(version);
    this.#log.readBefore += this.#log.versionAt(key, record.seqnum) === version ? 0 : 1;
  }

  /** A list in a transaction, which shows `keys` besides what that has written. */
  listInside(prefix: string, keys: readonly string[]): void {
    if (this.#wayOfList(prefix) !== "halfmoon-read") {
      const record = this.#stream.next(RecordKind.listed);
      const found = listedKeys(record);
      if (found.join("\n") !== keys.join("\n")) {
        throw new Error(`F37: ${this.#stream.instance} listed ${found} at ${record.seqnum}, at its moment there were ${keys}`);
      }
    }
  }

  /** An action of a transaction. */
  add(action: ObjectAction, seqnum: number): void {
    this.#add("halfmoon-read", action, seqnum);
  }

  #add(way: Way, action: ObjectAction, seqnum: number): void {
    const reads = action.kind === "read" || action.kind === "list";
    // What is read at a write's position is read right after it; and what is not read at the cursor after all that it did before.
    const place = reads ? seqnum + 0.25 : seqnum;
    const isLater = reads && way !== "halfmoon-read";
    const last = Math.max(place, ...(isLater ? this.done.map((one) => one.seqnum) : []));
    this.done.push({ action, seqnum: last, way, cursor: this.#stream.cursor });
  }

  #wayOf(key: string): Way {
    return this.#log.wayOf(key, this.#stream.origin.modeCursor, this.#protocol);
  }

  /** A prefix without "/" may span scopes: it is read at the cursor only if nobody ever chose anything else. */
  #wayOfList(prefix: string): Way {
    if (prefix.includes("/")) {
      return this.#wayOf(prefix);
    }
    const isSure = !this.#log.hadModes(this.#stream.origin.modeCursor) && keepsVersions(this.#protocol ?? "halfmoon-read");
    return isSure ? "halfmoon-read" : "transitional";
  }

  #find(key: string, way: Way): Found {
    const { cursor } = this.#stream;
    if (way === "halfmoon-read") {
      const version = this.#log.versionAt(key, cursor);
      this.#stream.see(version);
      const text = this.#log.text(version);
      return { text, version: text === null ? 0 : (version?.seqnum ?? 0), at: cursor };
    }
    return way === "unsafe" ? this.#findUnsafe(key) : this.#findLogged(key);
  }

  /** The newest write there was between the step before and this one. */
  #findLogged(key: string): Found {
    const { cursor, instance } = this.#stream;
    const record = this.#stream.next(RecordKind.read);
    const { version, timeMs, text } = readOf(this.#log, record);
    const newest = this.#log.versionsBetween(key, cursor, record.seqnum - 1);
    // Of a delete that was collected nothing is left.
    const found = newest.find((one) => one?.seqnum === version) ?? newest.find((one) => this.#log.text(one) === null);
    const isFound = version === 0 ? newest.some((one) => this.#log.text(one) === null) : found?.seqnum === version;
    if (!isFound || this.#log.text(version === 0 ? undefined : found) !== text) {
      throw new Error(`${instance} read ${text} of ${key} at ${record.seqnum}, version ${version}, which was not the newest`);
    }
    this.#stream.seen(timeMs);
    return { text, version, at: Math.max(cursor, version) };
  }

  #findUnsafe(key: string): Found {
    const { cursor, origin } = this.#stream;
    const told = this.#told();
    const text = typeof told === "string" ? told : null;
    const newest = this.#log.versionsBetween(key, cursor, origin.endedAt);
    const found = newest.find((one) => brief(this.#log.text(one)) === text);
    this.#demand(told === undefined || found !== undefined || newest.includes(undefined), `read ${text} of ${key}`);
    return { text, version: found?.seqnum ?? 0, at: Math.max(cursor, found?.seqnum ?? 0) };
  }

  #updateUnsafe(key: string, change: (old: string | null) => string): string | null {
    const told = this.#told();
    const old = typeof told === "string" ? told : null;
    const at = told === undefined ? null : this.#leaves(key, change(old), (before) => this.#log.text(before) === old);
    if (at === null) {
      this.vague.add(key);
    } else {
      this.#add("unsafe", { kind: "update", key, old, value: change(old) }, at);
    }
    return old;
  }

  /** @returns its place; null when it was not done before the instance was ended, or has none in any history */
  #write(key: string, text: string | null, way: Way): number | null {
    switch (way) {
      case "halfmoon-read":
      case "transitional":
        return this.#step(key, text, way);
      case "halfmoon-write":
        if (this.#stream.position === 1 && !this.#stream.origin.isChild) {
          this.#stream.next(RecordKind.anchor);
        }
        return this.#entry(key, text, this.#stream.nextVersion());
      case "boki": {
        const { seqnum } = this.#stream.next(RecordKind.preWrite);
        return this.#entry(key, text, { seqnum, role: 0, counter: 0 });
      }
      case "unsafe":
        return this.#leaves(key, text, () => true);
    }
  }

  /** A write that is a step. @returns its place */
  #step(key: string, text: string | null, way: Way): number {
    const inVersions = way === "halfmoon-read" || way === "transitional";
    const kind = text === null ? RecordKind.delete : RecordKind.write;
    const record = this.#stream.next(kind, inVersions ? `o/${key}` : undefined);
    const { cell, seqnum } = record;
    const isPlaced = way === "halfmoon-read" ? cell === undefined : cell?.key === key && cell.version === null;
    const written = this.#log.text(record);
    if (!isPlaced || written !== text) {
      throw new Error(
        `the step at ${seqnum} of ${this.#stream.instance} wrote ${written}, a replay writes ${text} to ${key}, ${way}`,
      );
    }
    this.wrote.add(seqnum);
    return seqnum;
  }

  /** A log-free write: its entry, or a newer one that was there before it (F3). @returns as #write */
  #entry(key: string, text: string | null, version: WriteVersion): number | null {
    const { instance, origin, peek, mayBeMissing } = this.#stream;
    const until = peek?.seqnum ?? origin.endedAt;
    const entries = this.#log.writesOf(key).filter(({ cell, seqnum }) => cell !== undefined && seqnum < until);
    const own = entries.filter((entry) => compare(versionOf(entry), version) === 0);
    for (const entry of own) {
      if (this.#log.text(entry) !== text || own.length > 1) {
        throw new Error(`${instance} has ${own.length} entries of ${key} with one version, the last is ${this.#log.text(entry)}`);
      }
      this.wrote.add(entry.seqnum);
      return entry.seqnum;
    }
    const newer = entries.find((entry) => compare(versionOf(entry), version) > 0);
    if (newer === undefined && !mayBeMissing) {
      throw new Error(`the write of ${text} to ${key} by ${instance} under ${JSON.stringify(version)} is nowhere`);
    }
    // One that comes later than an update has no place before it, as that has not seen it: it counts for nothing.
    return newer === undefined || (newer.cell?.version === null && !this.#log.isUnsafe(newer)) ? null : newer.seqnum - 0.5;
  }

  /** A write under `unsafe`: at least once. @returns as #write */
  #leaves(key: string, text: string | null, follows: (before: HistoryRecord | undefined) => boolean): number | null {
    const { cursor, origin } = this.#stream;
    const from = Math.max(cursor, this.#left);
    const entries = this.#log
      .writesOf(key)
      .filter((one) => this.#log.isUnsafe(one) && one.seqnum > from && one.seqnum <= origin.endedAt)
      .filter((one) => this.#log.text(one) === text && follows(this.#log.versionAt(key, one.seqnum - 1)));
    // Several may be equal. That there is one after the last is judged by the first; for its place rather one that nobody else has.
    const [first] = entries;
    const entry = entries.find(({ seqnum }) => !this.#log.taken.has(seqnum)) ?? first;
    this.#left = first?.seqnum ?? this.#left;
    if (entry !== undefined) {
      this.#log.taken.add(entry.seqnum);
    }
    this.#demand(entry !== undefined || !origin.hasSaid, `wrote ${text} to ${key}`);
    return entry?.seqnum ?? null;
  }

  #demand(holds: boolean, did: string): void {
    if (!holds) {
      const { instance, cursor, origin } = this.#stream;
      throw new Error(`${instance} ${did} under unsafe, true at no time from ${cursor} to ${origin.endedAt}`);
    }
  }
}

function versionOf({ cell, seqnum }: HistoryRecord): WriteVersion {
  return cell?.version ?? { seqnum, role: 0, counter: 0 };
}

function compare(a: WriteVersion, b: WriteVersion): number {
  return a.seqnum - b.seqnum || a.role - b.role || a.counter - b.counter;
}

function readOf(log: FinalLog, { data }: HistoryRecord): { version: number; timeMs: number; text: string | null } {
  const r = new ByteReader(decodeStep(data).payload);
  const [version, timeMs, exists] = [r.f64(), r.f64(), r.u8() === 1];
  return { version, timeMs, text: exists ? log.bytes(objectValueOf(r.raw(r.remaining))).toString() : null };
}

function listedKeys({ data }: HistoryRecord): string[] {
  const r = new ByteReader(decodeStep(data).payload);
  return Array.from({ length: r.u32() }, () => {
    const key = r.text();
    r.f64();
    r.f64();
    return key;
  });
}
