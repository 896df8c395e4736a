import type { SeqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import type { Place } from "../logbook/placement.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { ObjectValue } from "../objects/object-record.ts";
import { LoggedReads, loggedList } from "./logged-reads.ts";
import type { ObjectRead, ScopeProtocol, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

/** What protocols have in common whose reads are steps. */
export abstract class LoggedReadProtocol implements ScopeProtocol {
  readonly place: Place;
  protected readonly steps: StepStream;
  protected readonly turns: ObjectTurns;
  readonly #reads: LoggedReads;

  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns, place: Place) {
    this.place = place;
    this.steps = steps;
    this.turns = turns;
    this.#reads = new LoggedReads(steps, blobs);
  }

  abstract write(key: string, value: ObjectValue, valueCrc: number): Promise<void>;
  abstract update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome>;
  abstract delete(key: string): Promise<void>;

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    return this.#reads.read(key, offset, maxBytes, this.place);
  }

  list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    return loggedList(this.steps, prefix, after, limit);
  }
}
