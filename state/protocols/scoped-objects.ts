/**
 * Objects by the protocol of their scope.
 *
 * D1. The mode of a scope is that of the mode cursor: the instance's pinned initial cursor, or for a synchronous child that of the
 *     instance which was called from outside. So an instance, its children and its replays never change their modes (F18).
 * D2. After a mode was looked up the initial cursor does not move any more.
 */
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { keepsVersions, type Mode, scopeOf } from "../logbook/modes.ts";
import type { Place } from "../logbook/placement.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { ObjectValue } from "../objects/object-record.ts";
import { Boki } from "./boki.ts";
import { HalfmoonRead } from "./halfmoon-read.ts";
import { HalfmoonWrite } from "./halfmoon-write.ts";
import { loggedList } from "./logged-reads.ts";
import type { ObjectRead, PlacedObjects, ScopeProtocol, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import { Transitional } from "./transitional.ts";
import { ObjectTurns } from "./turns.ts";
import { Unsafe } from "./unsafe.ts";

/** What an instance has pinned about its protocols. */
export interface ProtocolChoice {
  /** Where modes are looked up; 0 for the instance's own initial cursor. */
  readonly modeCursor: SeqNum;
  /** The function's own, for scopes that nobody has chosen a mode for. */
  readonly protocol: Mode | null;
}

type Way = Mode | "transitional";

export class ScopedObjects implements PlacedObjects {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  readonly #choice: ProtocolChoice;
  readonly #turns: ObjectTurns;
  readonly #byScope = new Map<string, ScopeProtocol>();
  readonly #byWay = new Map<Way, ScopeProtocol>();

  constructor(steps: StepStream, blobs: BlobStore, choice: ProtocolChoice) {
    this.#steps = steps;
    this.#blobs = blobs;
    this.#choice = choice;
    this.#turns = new ObjectTurns(steps);
  }

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    return this.#by(key, (protocol) => protocol.read(key, offset, maxBytes));
  }

  /** The turn comes first: until a mode was looked up it may move the initial cursor (D2). */
  async readForUpdate(key: string, maxBytes: number): Promise<ObjectRead> {
    await this.#turns.take(key);
    return this.read(key, 0, maxBytes);
  }

  write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    return this.#by(key, (protocol) => protocol.write(key, value, valueCrc));
  }

  update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    return this.#by(key, (protocol) => protocol.update(key, version, value, valueCrc));
  }

  delete(key: string): Promise<void> {
    return this.#by(key, (protocol) => protocol.delete(key));
  }

  /** A prefix without "/" may span scopes: then it is log-free only if all of them keep versions. */
  async list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    if (prefix.includes("/")) {
      return this.#by(prefix, (protocol) => protocol.list(prefix, after, limit));
    }
    return (await this.placeOfList(prefix)) === "versions"
      ? this.#protocol("halfmoon-read").list(prefix, after, limit)
      : loggedList(this.#steps, prefix, after, limit);
  }

  placeOf(key: string): Promise<Place> {
    return this.#by(key, async ({ place }) => place);
  }

  async placeOfList(prefix: string): Promise<Place> {
    if (prefix.includes("/")) {
      return this.placeOf(prefix);
    }
    this.#steps.touch();
    const { modes } = await this.#steps.book.modeAt("", this.#modeCursor);
    return modes === NO_SEQNUM && keepsVersions(this.#choice.protocol ?? "halfmoon-read") ? "versions" : "both";
  }

  close(): void {
    this.#turns.endAll();
  }

  get #modeCursor(): SeqNum {
    const { modeCursor } = this.#choice;
    return modeCursor === NO_SEQNUM ? this.#steps.pins.initialCursor : modeCursor;
  }

  /** Asks the protocol of the key's scope; now, once its mode is known. */
  #by<T>(key: string, act: (protocol: ScopeProtocol) => Promise<T>): Promise<T> {
    const known = this.#byScope.get(scopeOf(key));
    return known === undefined ? this.#lookUp(key).then(act) : act(known);
  }

  async #lookUp(key: string): Promise<ScopeProtocol> {
    this.#steps.touch();
    const scope = scopeOf(key);
    const { mode, to, defaultMode, seqnum } = await this.#steps.book.modeAt(scope, this.#modeCursor);
    this.#steps.consulted(seqnum);
    const way = to === null ? (mode ?? this.#choice.protocol ?? defaultMode) : "transitional";
    const protocol = this.#protocol(way);
    this.#byScope.set(scope, protocol);
    return protocol;
  }

  #protocol(way: Way): ScopeProtocol {
    const known = this.#byWay.get(way);
    if (known !== undefined) {
      return known;
    }
    const protocol = this.#make(way);
    this.#byWay.set(way, protocol);
    return protocol;
  }

  #make(way: Way): ScopeProtocol {
    const parts = [this.#steps, this.#blobs, this.#turns] as const;
    switch (way) {
      case "halfmoon-read":
        return new HalfmoonRead(...parts);
      case "halfmoon-write":
        return new HalfmoonWrite(...parts);
      case "boki":
        return new Boki(...parts);
      case "unsafe":
        return new Unsafe(...parts);
      case "transitional":
        return new Transitional(...parts);
    }
  }
}
