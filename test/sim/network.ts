/**
 * The network below a Peer.
 *
 * N1. Messages of one direction of one connection arrive whole and in order; those of different ones overtake each other.
 * N2. A connection that is cut loses what had not arrived: a request may have been carried out and its answer lost.
 * N3. The end of a connection shows as a close, or not at all: then heartbeats find out.
 */
import { EventEmitter } from "node:events";
import type { ByteCount, MessageSocket } from "../../state/remote/message-socket.ts";
import { latencyMs, type SimProcess } from "./process.ts";

class SimSocket extends EventEmitter implements MessageSocket, ByteCount {
  binaryType: MessageSocket["binaryType"] = "nodebuffer";
  bytesRead = 0;
  other: SimSocket | undefined;
  readonly #process: SimProcess;
  readonly #label: string;
  /** What comes in next comes after this time. */
  #lastMs = 0;
  /** Of what the other end sends: what is on its way from an earlier era is lost. */
  #era = 0;
  #isClosed = false;
  /** Parts of a message that is not complete. */
  readonly #begun: Uint8Array[] = [];

  constructor(process: SimProcess, label: string) {
    super();
    this.#process = process;
    this.#label = label;
  }

  send(part: Uint8Array, { fin }: { binary: true; fin: boolean }, sent: () => void = () => {}): void {
    this.#begun.push(part);
    if (!fin) {
      return;
    }
    // A network may cut messages elsewhere, or not at all.
    const message = Buffer.concat(this.#begun.splice(0));
    if (!this.#isClosed && this.#process.alive) {
      this.other?.arrive(`message of ${message.length} bytes`, () => this.other?.take(message));
      this.#process.scheduler.at(this.#process, 0, `${this.#label} sent`, sent);
    }
  }

  ping(): void {
    if (!this.#isClosed && this.#process.alive) {
      this.other?.arrive("ping", () => this.other?.answerPing());
    }
  }

  close(_code: number): void {
    if (!this.#isClosed && this.#process.alive) {
      this.#isClosed = true;
      this.other?.arrive("close", () => this.other?.end());
      this.#later("closed", () => this.emit("close"));
    }
  }

  terminate(): void {
    this.close(1006);
  }

  /** Something of the other end is going to come in. */
  arrive(label: string, run: () => void): void {
    const { scheduler, random } = this.#process;
    const era = this.#era;
    const dueMs = Math.max(this.#lastMs, scheduler.nowMs + latencyMs(random));
    this.#lastMs = dueMs;
    scheduler.at(this.#process, dueMs - scheduler.nowMs, `${this.#label} ${label}`, () => {
      if (era === this.#era) {
        run();
      }
    });
  }

  take(message: Buffer): void {
    if (!this.#isClosed) {
      this.bytesRead += message.length;
      this.emit("message", [Buffer.from(message)]);
    }
  }

  answerPing(): void {
    this.bytesRead += 1;
    if (!this.#isClosed) {
      this.other?.arrive("pong", () => {
        if (this.other !== undefined) {
          this.other.bytesRead += 1;
        }
      });
    }
  }

  /** The other end has closed. */
  end(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.emit("close");
    }
  }

  /** @param isSilent  nothing tells this end */
  lose(isSilent: boolean): void {
    this.#era += 1;
    this.other = undefined;
    if (!isSilent) {
      this.#later("lost", () => this.end());
    }
  }

  #later(label: string, run: () => void): void {
    this.#process.scheduler.at(this.#process, latencyMs(this.#process.random), `${this.#label} ${label}`, run);
  }
}

/** A connection between two processes. */
export class Link {
  readonly near: SimSocket;
  readonly far: SimSocket;

  constructor(near: SimProcess, far: SimProcess) {
    this.near = new SimSocket(near, `from ${far.name}`);
    this.far = new SimSocket(far, `from ${near.name}`);
    this.near.other = this.far;
    this.far.other = this.near;
  }

  /** Cuts the connection: what is under way is lost. */
  cut(isSilent: boolean): void {
    this.near.lose(isSilent);
    this.far.lose(isSilent);
  }
}
