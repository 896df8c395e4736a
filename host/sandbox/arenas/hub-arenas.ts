/** The memories of regions in a tenant's process: does in them what the host asks for (`process-arena.ts`). */
import type { OutgoingFrame } from "../frames/carrier.ts";
import { ArenaAction, EMPTY, type Frame, FrameType } from "../frames/protocol.ts";
import { ThreadArena } from "./thread-arena.ts";

export class HubArenas {
  readonly #arenas = new Map<number, ThreadArena>();
  readonly #send: (frame: OutgoingFrame) => void;

  constructor(send: (frame: OutgoingFrame) => void) {
    this.#send = send;
  }

  /** What guests import; undefined when there is no such memory. */
  memory(arena: number): WebAssembly.Memory | undefined {
    return this.#arenas.get(arena)?.memory;
  }

  take(frame: Frame): void {
    if (frame.type === FrameType.arenaCreate) {
      this.#create(frame.a, frame.b);
    } else if (frame.type === FrameType.arenaDrop) {
      this.#arenas.delete(frame.a);
    } else {
      const { call, code } = frame;
      this.#act(frame).then(
        (answer) => {
          if (code !== ArenaAction.enter) {
            this.#send({ type: FrameType.arenaAnswer, call, ...answer });
          }
        },
        () => this.#send({ type: FrameType.arenaAnswer, call, code: 1 }),
      );
    }
  }

  /** Where there is no room for one, whatever is asked of it says so. */
  #create(arena: number, maxPages: number): void {
    try {
      this.#arenas.set(arena, new ThreadArena(maxPages));
    } catch (error) {
      if (!(error instanceof RangeError)) {
        throw error;
      }
    }
  }

  async #act({ code, a, x, y, body }: Frame): Promise<{ readonly a?: number; readonly body?: Uint8Array }> {
    const arena = this.#arenas.get(a);
    if (arena === undefined) {
      throw new RangeError(`there is no memory ${a}`);
    }
    switch (code) {
      case ArenaAction.grow:
        await arena.grow(y);
        return {};
      case ArenaAction.enter:
        arena.enter(x, Buffer.from(body).readBigInt64LE());
        return {};
      case ArenaAction.clear:
        await arena.clear(x, x + y);
        return {};
      case ArenaAction.read:
        return { body: await arena.read(x, y) };
      case ArenaAction.write:
        await arena.write(x, body);
        return {};
      default:
        return { a: await arena.load(x), body: EMPTY };
    }
  }
}
