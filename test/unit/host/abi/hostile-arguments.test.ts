import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createImports, importFunctions } from "../../../../host/abi/create-imports.ts";
import { abiTable } from "../../../../host/abi/index.ts";
import { GuestExit, GuestFault } from "../../../../host/sandbox/guest.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";

const MEMORY_BYTES = 65_536;
const GUARD_BYTES = 4_096;
const FILL = 0xa5;
const GUARD = Buffer.alloc(GUARD_BYTES, FILL);

interface Writes {
  /** Pointer and length. */
  readonly ranges?: readonly [number, number][];
  /** Pointer, and bytes; 0 for nothing. */
  readonly numbers?: readonly [number, number][];
  /** Pointer, and bytes. */
  readonly always?: readonly [number, number][];
  /** Pointer, count, and bytes of one. */
  readonly lists?: readonly [number, number, number][];
}

/** By import: which of its arguments say what it may write. */
const WRITES: Readonly<Record<string, Writes>> = {
  "neap.input_read": { ranges: [[0, 2]] },
  "neap.object_read": { ranges: [[3, 4]], numbers: [[5, 8]] },
  "neap.object_read_for_update": { ranges: [[2, 3]], numbers: [[4, 8]] },
  "neap.object_list": { ranges: [[4, 5]] },
  "neap.call_await": { ranges: [[1, 2]], numbers: [[3, 4]] },
  "neap.log_append": { numbers: [[7, 20]] },
  "neap.log_read_prev": { ranges: [[3, 4]], numbers: [[5, 12]] },
  "neap.log_read_next": { ranges: [[3, 4]], numbers: [[5, 12]] },
  "neap.log_await_next": { ranges: [[4, 5]], numbers: [[6, 12]] },
  "neap.log_tail": { always: [[2, 28]] },
  "neap.http_read": { ranges: [[2, 3]] },
  "neap.call_spawn": { ranges: [[5, 6]] },
  "neap.transaction_conflict": { ranges: [[0, 1]] },
  "neap.random_fill": { ranges: [[0, 1]] },
  "env.pthread_create": { always: [[0, 4]] },
  "env.pthread_join": { numbers: [[1, 4]] },
  "env.pthread_attr_init": { always: [[0, 36]] },
  "env.pthread_attr_setdetachstate": { always: [[0, 36]] },
  "env.pthread_mutexattr_init": { always: [[0, 4]] },
  "env.pthread_mutexattr_settype": { always: [[0, 4]] },
  "env.pthread_mutex_init": { always: [[0, 24]] },
  "env.pthread_mutex_trylock": { always: [[0, 24]] },
  "env.pthread_mutex_unlock": { always: [[0, 24]] },
  "env.pthread_cond_init": { always: [[0, 48]] },
  "env.pthread_cond_signal": { always: [[0, 48]] },
  "env.pthread_cond_broadcast": { always: [[0, 48]] },
  "env.pthread_key_create": { always: [[0, 4]] },
  "env.__kmpc_end_critical": { always: [[2, 24]] },
  ...Object.fromEntries(
    ["lock", "nest_lock"].flatMap((kind) =>
      ["init", "destroy", "test", "unset"].map((what) => [`env.omp_${what}_${kind}`, { always: [[0, 24]] } as const]),
    ),
  ),
  "env.MPI_Init_thread": { always: [[3, 4]] },
  "env.MPI_Initialized": { always: [[0, 4]] },
  "env.MPI_Finalized": { always: [[0, 4]] },
  "env.MPI_Get_processor_name": {
    always: [
      [0, 5],
      [1, 4],
    ],
  },
  "env.MPI_Get_version": {
    always: [
      [0, 4],
      [1, 4],
    ],
  },
  "wasi_snapshot_preview1.args_sizes_get": {
    always: [
      [0, 4],
      [1, 4],
    ],
  },
  "wasi_snapshot_preview1.args_get": {
    always: [
      [0, 4],
      [1, 5],
    ],
  },
  "wasi_snapshot_preview1.environ_sizes_get": {
    always: [
      [0, 4],
      [1, 4],
    ],
  },
  "wasi_snapshot_preview1.clock_res_get": { always: [[1, 8]] },
  "wasi_snapshot_preview1.clock_time_get": { always: [[2, 8]] },
  "wasi_snapshot_preview1.random_get": { ranges: [[0, 1]] },
  "wasi_snapshot_preview1.poll_oneoff": { always: [[3, 4]], lists: [[1, 2, 32]] },
  "wasi_snapshot_preview1.fd_read": { always: [[3, 4]] },
  "wasi_snapshot_preview1.fd_pread": { always: [[4, 4]] },
  "wasi_snapshot_preview1.fd_write": { always: [[3, 4]] },
  "wasi_snapshot_preview1.fd_pwrite": { always: [[4, 4]] },
  "wasi_snapshot_preview1.fd_seek": { always: [[3, 8]] },
  "wasi_snapshot_preview1.fd_tell": { always: [[1, 8]] },
  "wasi_snapshot_preview1.fd_fdstat_get": { always: [[1, 24]] },
  "wasi_snapshot_preview1.fd_filestat_get": { always: [[1, 64]] },
  "wasi_snapshot_preview1.fd_prestat_get": { always: [[1, 8]] },
  "wasi_snapshot_preview1.fd_prestat_dir_name": { always: [[1, 1]] },
  "wasi_snapshot_preview1.fd_readdir": { ranges: [[1, 2]], always: [[4, 4]] },
  "wasi_snapshot_preview1.path_open": { always: [[8, 4]] },
  "wasi_snapshot_preview1.path_filestat_get": { always: [[4, 64]] },
  "wasi_snapshot_preview1.path_readlink": { ranges: [[3, 4]], always: [[5, 4]] },
  "region.snapshot": { ranges: [[3, 2]] },
  "env.__faasm_read_input": { ranges: [[0, 1]] },
  "env.__faasm_await_call_output": { ranges: [[1, 2]] },
  "env.__faasmndp_getMmap": { always: [[4, 4]] },
  "env.bzero": { ranges: [[0, 1]] },
  "env.getcwd": { ranges: [[0, 1]] },
  "env.uname": { always: [[0, 390]] },
  "env.__faasm_read_state": { ranges: [[1, 2]] },
  "env.__faasm_read_state_offset": { ranges: [[3, 4]] },
  "env.__faasm_read_appended_state": { ranges: [[1, 2]] },
};

const edge = fc.constantFrom(0, 1, 3, 4, 8, 100, 65_528, 65_532, 65_535, 65_536, 65_537, 2 ** 31 - 1, -(2 ** 31), -1, -10);
const i32 = fc.oneof(edge, fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
const i64 = fc.oneof(fc.constantFrom(0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n), fc.bigInt(0n, 200n));
const VALUES: Readonly<Record<string, fc.Arbitrary<number | bigint>>> = { i32, i64, f64: fc.double() };

/** A memory with guards on both sides in the same buffer. */
function guarded(): { whole: Uint8Array; memory: Uint8Array } {
  const whole = new Uint8Array(MEMORY_BYTES + 2 * GUARD_BYTES).fill(FILL);
  const memory = whole.subarray(GUARD_BYTES, GUARD_BYTES + MEMORY_BYTES);
  memory.set(Buffer.from("key"), 100);
  // What WASI takes a list from: subscriptions for clocks that are due, and empty buffers.
  memory.fill(0, 1000, 9000);
  return { whole, memory };
}

function world(): MemoryHost {
  const host = new MemoryHost();
  host.put("key", Buffer.alloc(500, 1));
  host.put("key2", "value");
  return host;
}

/** Sets the bytes that the import may have written back to what they were. */
function undoAllowed(name: string, args: readonly (number | bigint)[], memory: Uint8Array, before: Uint8Array): void {
  const unsigned = (index: number) => Number(args[index] ?? 0) >>> 0;
  const { ranges = [], numbers = [], always = [], lists = [] } = WRITES[name] ?? {};
  const allowed = [
    ...ranges.map(([pointer, length]) => [unsigned(pointer), unsigned(length)] as const),
    ...lists.map(([pointer, count, size]) => [unsigned(pointer), unsigned(count) * size] as const),
    ...always.map(([pointer, size]) => [unsigned(pointer), size] as const),
    ...numbers.filter(([pointer]) => unsigned(pointer) !== 0).map(([pointer, size]) => [unsigned(pointer), size] as const),
  ];
  for (const [start, size] of allowed) {
    if (start + size <= MEMORY_BYTES) {
      memory.set(before.subarray(start, start + size), start);
    }
  }
}

/** They block the thread that calls them: threads.test.ts and openmp.test.ts beside this let that be one of a call. */
const BLOCKING: ReadonlySet<string> = new Set([
  ...["mutex_lock", "cond_wait", "cond_timedwait", "once"].map((name) => `env.pthread_${name}`),
  ...["env.__kmpc_critical", "env.__kmpc_critical_with_hint", "env.omp_set_lock", "env.omp_set_nest_lock"],
]);

describe("whatever a guest passes, an import ends the call or answers, and writes only where it was told to", () => {
  for (const [name, { params }] of [...abiTable].filter(([name, { inline }]) => !inline && !BLOCKING.has(name))) {
    it(name, async () => {
      const anyArgs = fc.tuple(...params.map((type) => VALUES[type] ?? i32));
      await fc.assert(
        fc.asyncProperty(anyArgs, fc.boolean(), async (args, inPart) => {
          const guest = new MemoryGuest(world(), Buffer.from("input"));
          const { whole, memory } = guarded();
          guest.attachBytes(memory);
          guest.call.inPart = inPart;
          guest.call.callCount = 1;
          const before = memory.slice();
          const run = createImports(guest, [name])[name]?.run as ((...args: unknown[]) => unknown) | undefined;
          try {
            await run?.(...args);
          } catch (error) {
            expect(error instanceof GuestFault || error instanceof GuestExit).toBe(true);
          }
          undoAllowed(name, args, memory, before);
          expect(Buffer.compare(memory, before)).toBe(0);
          expect(Buffer.compare(whole.subarray(0, GUARD_BYTES), GUARD)).toBe(0);
          expect(Buffer.compare(whole.subarray(-GUARD_BYTES), GUARD)).toBe(0);
        }),
        { numRuns: 300 },
      );
    });
  }

  it("names import, argument, range and memory size in the fault", () => {
    const guest = new MemoryGuest(world(), new Uint8Array(0));
    guest.attachBytes(guarded().memory);
    const write = importFunctions(guest)["neap.object_write"] as (...args: number[]) => unknown;
    expect(() => write(100, 3, -1, 10)).toThrow(
      new GuestFault("object_write: value at 4294967295 + 10 is outside the memory of 65536 bytes"),
    );
  });

  it("decides before the operation has an effect: a bad version pointer reads nothing", async () => {
    const host = world();
    const guest = new MemoryGuest(host, new Uint8Array(0));
    guest.attachBytes(guarded().memory);
    const read = importFunctions(guest)["neap.object_read_for_update"] as (...args: number[]) => unknown;
    expect(() => read(100, 3, 0, 10, 65_530)).toThrow(
      new GuestFault("object_read_for_update: version at 65530 + 8 is outside the memory of 65536 bytes"),
    );
    expect(host.operations).toEqual([]);
  });
});
