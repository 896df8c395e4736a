/** A memory region as a scripted guest uses it. */
import {
  Operation,
  PushMode,
  regionArgs,
  regionOpenArgs,
  regionPullReply,
  regionRangeArgs,
  regionWaitArgs,
} from "../../host/abi/operations.ts";
import { ThreadArena } from "../../host/sandbox/index.ts";
import type { ScriptedGuest } from "./scripted-guest.ts";

export class ScriptedRegion {
  readonly handle: number;
  readonly #guest: ScriptedGuest;

  private constructor(guest: ScriptedGuest, handle: number) {
    this.#guest = guest;
    this.handle = handle;
  }

  static async open(guest: ScriptedGuest, name: string, sizeBytes = 64, maxBytes = 0): Promise<ScriptedRegion> {
    const { code } = await guest.ask(Operation.regionOpen, regionOpenArgs.encode({ name, sizeBytes, maxBytes }));
    return new ScriptedRegion(guest, code);
  }

  /** Whatever the handle names. */
  static at(guest: ScriptedGuest, handle: number): ScriptedRegion {
    return new ScriptedRegion(guest, handle);
  }

  /** Its bytes, found as a rewritten module finds them. */
  get bytes(): Uint8Array {
    const { arena } = this.#guest.start;
    if (!(arena instanceof ThreadArena)) {
      throw new Error("the guest has no regions");
    }
    const { buffer } = arena.memory;
    const [base = 0, sizeBytes = 0] = new Uint32Array(buffer, this.handle * 8, 2);
    return new Uint8Array(buffer, base, sizeBytes);
  }

  get(offset: number): number {
    return Buffer.from(this.bytes.slice(offset, offset + 4)).readInt32LE();
  }

  set(offset: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    this.bytes.set(bytes, offset);
  }

  text(offset: number, length: number): string {
    return Buffer.from(this.bytes.slice(offset, offset + length)).toString();
  }

  grow(sizeBytes: number): Promise<number> {
    return this.#code(Operation.regionGrow, regionArgs.encode(this.handle, sizeBytes));
  }

  lock(mode: "read" | "write"): Promise<number> {
    return this.#code(Operation.regionLock, regionArgs.encode(this.handle, mode === "write" ? 1 : 0));
  }

  unlock(): Promise<number> {
    return this.#code(Operation.regionUnlock, regionArgs.encode(this.handle));
  }

  wait(offset: number, expected: number, timeoutMs = -1): Promise<number> {
    return this.#code(Operation.regionWait, regionWaitArgs.encode({ handle: this.handle, offset, expected, timeoutMs }));
  }

  notify(offset: number, count = 1): Promise<number> {
    return this.#code(Operation.regionNotify, regionArgs.encode(this.handle, offset, count));
  }

  push(key: string, offset: number, length: number): Promise<number> {
    return this.#push(PushMode.whole, key, offset, length, 0);
  }

  pushPartial(key: string, offset: number, length: number, at: number): Promise<number> {
    return this.#push(PushMode.part, key, offset, length, at);
  }

  append(key: string, offset: number, length: number): Promise<number> {
    return this.#push(PushMode.end, key, offset, length, 0);
  }

  /** Size of the object, or the code. */
  async pull(key: string, offset: number, length: number, at = 0): Promise<number> {
    const args = { handle: this.handle, offset, length, key, at, mode: 0 };
    const { code, bytes } = await this.#guest.ask(Operation.regionPull, regionRangeArgs.encode(args));
    return code < 0 ? code : regionPullReply.decode(bytes).sizeBytes;
  }

  async snapshot(offset: number, length: number): Promise<string> {
    const args = { handle: this.handle, offset, length, key: "", at: 0, mode: 0 };
    const { code, bytes } = await this.#guest.ask(Operation.regionSnapshot, regionRangeArgs.encode(args));
    return code < 0 ? `${code}` : Buffer.from(bytes).toString();
  }

  #push(mode: number, key: string, offset: number, length: number, at: number): Promise<number> {
    return this.#code(Operation.regionPush, regionRangeArgs.encode({ handle: this.handle, offset, length, key, at, mode }));
  }

  async #code(operation: Operation, args: Uint8Array): Promise<number> {
    return (await this.#guest.ask(operation, args)).code;
  }
}
