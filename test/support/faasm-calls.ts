/** Calls imports of Faasm one by one, as a module does that keeps its arguments in its memory. */
import { importFunctions } from "../../host/abi/create-imports.ts";
import { MemoryGuest, MemoryHost } from "./memory-guest.ts";

/** Arguments from here on. */
const ARGUMENTS_AT = 4096;
const PAGE_BYTES = 65_536;
/** Room for results, below the arguments. */
export const RESULT = 16;

export class FaasmCalls {
  readonly host: MemoryHost;
  readonly guest: MemoryGuest;
  readonly #memory = new WebAssembly.Memory({ initial: 2, maximum: 64 });
  readonly #functions: ReturnType<typeof importFunctions>;
  #free = ARGUMENTS_AT;

  constructor(input = "", host = new MemoryHost()) {
    this.host = host;
    this.guest = new MemoryGuest(this.host, Buffer.from(input));
    this.guest.attach({ memory: this.#memory });
    this.#functions = importFunctions(this.guest);
  }

  /** Calls "env.<name>". A text becomes a pointer to it and a NUL; bytes become a pointer and a length. */
  async call(name: string, ...args: readonly (string | Uint8Array | number | bigint)[]): Promise<unknown> {
    this.#free = ARGUMENTS_AT;
    const flat = args.flatMap((arg) => {
      if (typeof arg === "string") {
        return [this.#put(Buffer.from(`${arg}\0`))];
      }
      return arg instanceof Uint8Array ? [this.#put(arg), arg.byteLength] : [arg];
    });
    return this.#run(`env.${name}`, flat);
  }

  /** Calls a function of WASI. */
  wasi(name: string, ...args: readonly (number | bigint)[]): Promise<unknown> {
    return this.#run(`wasi_snapshot_preview1.${name}`, args);
  }

  async #run(name: string, args: readonly (number | bigint)[]): Promise<unknown> {
    const run = this.#functions[name] as ((...flat: unknown[]) => unknown) | undefined;
    if (run === undefined) {
      throw new Error(`there is no ${name}`);
    }
    return run(...args);
  }

  /** As `call`, for an import that answers an i32: an address, as the guest sees it. */
  async address(name: string, ...args: readonly (string | Uint8Array | number | bigint)[]): Promise<number> {
    return Number(await this.call(name, ...args)) >>> 0;
  }

  get memory(): Buffer {
    return Buffer.from(this.#memory.buffer);
  }

  get pages(): number {
    return this.#memory.buffer.byteLength / PAGE_BYTES;
  }

  text(pointer: number, length: number): string {
    return this.memory.toString("utf8", pointer, pointer + length);
  }

  get output(): string {
    return Buffer.from(this.guest.call.output()).toString();
  }

  #put(bytes: Uint8Array): number {
    const pointer = this.#free;
    this.memory.set(bytes, pointer);
    this.#free += Math.ceil((bytes.byteLength + 1) / 8) * 8;
    return pointer;
  }
}
