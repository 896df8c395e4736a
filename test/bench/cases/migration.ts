import type { AddressInfo, Socket } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { abiTable } from "../../../host/abi/abi-table.ts";
import { importsUrl } from "../../../host/abi/imports-url.ts";
import type { Artefact } from "../../../host/modules/artefact.ts";
import { decodeArtefact } from "../../../host/modules/artefact-codec.ts";
import { NO_REWRITING } from "../../../host/modules/rewriting/index.ts";
import { HeldStates, type MovedCall, remoteTaker, serveMoves } from "../../../host/offload/index.ts";
import {
  createSandboxPool,
  type FrozenStart,
  type SandboxCall,
  type SandboxEnd,
  type SandboxPool,
} from "../../../host/sandbox/index.ts";
import { silentLog } from "../../../host/telemetry/index.ts";
import { ByteWriter } from "../../../state/bytes.ts";
import type { InstanceId, LogBookId, SeqNum } from "../../../state/ids.ts";
import { NONCE_BYTES, SEED_BYTES } from "../../../state/logbook/step-record.ts";
import { DEFAULT_PEER_LIMITS, Peer } from "../../../state/remote/peer.ts";
import { wat } from "../../support/guest-modules.ts";
import { systemTimers } from "../../support/system-timers.ts";
import { prepareOnce } from "../../support/upload-once.ts";
import { atMost, type Bar, type Bench, type BenchCase, type Row } from "../bench-case.ts";
import { median, nth } from "../support/measurement.ts";

const MIB = 1024 * 1024;
const PAGE_BYTES = 65_536;
const LIMITS = { moduleMaxBytes: MIB, memoryMaxPages: 4096, tableMaxElements: 16, uploadTimeoutMs: 120_000 };
const SOURCE = 'the issue "Migration": 10 ms at 1 MiB, 25 ms at a sparse 64 MiB';
const TENANT = "bench" as LogBookId;
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

interface Size {
  readonly what: string;
  readonly sizeBytes: number;
  /** Of each 64 KiB. */
  readonly filledBytes: number;
  readonly bar?: Bar;
}

const SIZES: readonly Size[] = [
  { what: "64 KiB", sizeBytes: PAGE_BYTES, filledBytes: PAGE_BYTES },
  { what: "1 MiB", sizeBytes: MIB, filledBytes: PAGE_BYTES, bar: atMost(10, SOURCE) },
  { what: "16 MiB", sizeBytes: 16 * MIB, filledBytes: PAGE_BYTES },
  { what: "64 MiB, of which a 16th is in use", sizeBytes: 64 * MIB, filledBytes: 4096, bar: atMost(25, SOURCE) },
];

export const migration: BenchCase = {
  name: "migration",
  measures:
    "a call that is stopped in the middle, sent over a loopback connection and goes on in another pool: from the order to stop until its guest asks the host again there; both ends in the benchmark's process",
  async run(bench) {
    const artefact = await guest();
    const [here, there] = await Promise.all([pool("here", bench), pool("there", bench)]);
    const [near, far] = await connected(bench);
    const rows: Row[] = [];
    for (const size of SIZES) {
      const moves = new Moves(artefact, size, here, there, near, far);
      const taken: number[] = [];
      const bytes: number[] = [];
      const cpu: number[] = [];
      for (let i = -2; i < bench.size(20, 1); i++) {
        const { downtimeMs, cpuMs, sizeBytes } = await moves.move();
        taken.push(downtimeMs);
        cpu.push(cpuMs);
        bytes.push(sizeBytes);
      }
      const { what, bar } = size;
      rows.push({ what: `downtime, ${what}`, value: median(taken.slice(2)), unit: "ms", ...(bar !== undefined && { bar }) });
      rows.push({ what: `CPU time of all threads, ${what}`, value: median(cpu.slice(2)), unit: "ms" });
      rows.push({ what: `bytes, ${what}`, value: nth(bytes, bytes.length - 1), unit: "bytes" });
    }
    return rows;
  },
};

/** Fills its memory as the input says, and then sleeps again and again. */
async function guest(): Promise<Artefact> {
  const wasm = wat(`(module
    (import "neap" "sleep" (func $sleep (param i64)))
    (import "neap" "input_read" (func $input (param i32 i32 i32) (result i32)))
    (memory 1)
    (func (export "main") (result i32) (local $at i32) (local $end i32) (local $filled i32) (local $seed i32)
      (drop (call $input (i32.const 0) (i32.const 0) (i32.const 8)))
      (local.set $end (i32.load (i32.const 0)))
      (local.set $filled (i32.load (i32.const 4)))
      (drop (memory.grow (i32.sub (i32.div_u (local.get $end) (i32.const ${PAGE_BYTES})) (i32.const 1))))
      (loop $next
        (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
        (if (i32.lt_u (i32.rem_u (local.get $at) (i32.const ${PAGE_BYTES})) (local.get $filled))
          (then (i32.store (local.get $at) (local.get $seed))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
      (loop $forever (call $sleep (i64.const 1)) (br $forever))
      (i32.const 0)))`);
  const { hash, artefact } = await prepareOnce(wasm.buffer, abiTable, LIMITS, { ...NO_REWRITING, migratable: true });
  return decodeArtefact(artefact, hash);
}

async function pool(name: string, { cleanup }: Bench): Promise<SandboxPool> {
  const made = await createSandboxPool({ name, importsUrl, clock, workers: 1 });
  cleanup.defer(() => made.close());
  return made;
}

async function connected({ cleanup }: Bench): Promise<readonly [Peer, Peer]> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const options = { epoch: 1, timers: systemTimers, log: silentLog, limits: DEFAULT_PEER_LIMITS };
  const far = new Promise<Peer>((resolve) => {
    server.once("connection", (socket, { socket: stream }) => resolve(new Peer(socket, stream, { ...options, name: "near" })));
  });
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    perMessageDeflate: false,
    // As between nodes.
    generateMask: (mask) => mask.fill(0),
  });
  const stream = await new Promise<Socket>((resolve) => socket.once("upgrade", (response) => resolve(response.socket)));
  const near = new Peer(socket, stream, { ...options, name: "far" });
  cleanup.defer(() => {
    near.close();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return [near, await far];
}

class Moves {
  readonly #artefact: Artefact;
  readonly #input: Uint8Array;
  readonly #here: SandboxPool;
  readonly #near: Peer;
  #arrived: () => void = () => {};

  constructor(
    artefact: Artefact,
    { sizeBytes, filledBytes }: Size,
    here: SandboxPool,
    there: SandboxPool,
    near: Peer,
    far: Peer,
  ) {
    this.#artefact = artefact;
    this.#input = new ByteWriter(8).u32(sizeBytes).u32(filledBytes).take();
    this.#here = here;
    this.#near = near;
    const take = async ({ guest: bytes }: MovedCall) => {
      const call = await this.#untilAsleep(there, { bytes });
      this.#arrived();
      call.cancel();
      return { kind: "logged", trace: { executedAt: [], moves: [], movedBytes: 0, readBytes: 0, cpuMs: 0 } } as const;
    };
    serveMoves(far, () => ({ name: "there", take }), HeldStates.serve(far));
  }

  async move(): Promise<{ downtimeMs: number; cpuMs: number; sizeBytes: number }> {
    const arrived = new Promise<void>((resolve) => {
      this.#arrived = resolve;
    });
    let stop = (_end: SandboxEnd) => {};
    const stopped = new Promise<SandboxEnd>((resolve) => {
      stop = resolve;
    });
    const call = await this.#untilAsleep(this.#here, undefined, (end) => stop(end));
    const startMs = performance.now();
    const before = process.cpuUsage();
    call.freeze();
    const end = await stopped;
    if (end.kind !== "frozen") {
      throw new Error(`the call that was to be stopped has ended: ${end.kind}`);
    }
    const told = remoteTaker(this.#near, 0, "there").take(moved(end.bytes));
    await arrived;
    const downtimeMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(before);
    const { kind } = await told;
    if (kind !== "logged") {
      throw new Error(`the call did not arrive: ${kind}`);
    }
    return { downtimeMs, cpuMs: (user + system) / 1000, sizeBytes: end.bytes.byteLength };
  }

  /** The call when its guest waits for its sleep to end. */
  #untilAsleep(
    pool: SandboxPool,
    frozen: FrozenStart | undefined,
    onEnd: (end: SandboxEnd) => void = () => {},
  ): Promise<SandboxCall> {
    return new Promise((resolve, reject) => {
      const ended = (end: SandboxEnd) => {
        reject(new Error(`the call has ended: ${end.kind} ${"message" in end ? end.message : ""}`));
        onEnd(end);
      };
      const call = pool.start(
        {
          tenant: TENANT,
          sandboxesMax: 8_000,
          artefact: this.#artefact,
          input: this.#input,
          commandLine: new Uint8Array(0),
          depth: 0,
          pins: { timeMs: 0, seed: new Uint8Array(32) },
          limits: { wallTimeMs: 60_000, cpuTimeMs: 60_000, outputMaxBytes: 0, logMaxBytes: 0 },
          ...(frozen !== undefined && { frozen }),
        },
        { onOperation: () => resolve(call), onLog: () => {}, onEnd: ended },
      );
    });
  }
}

function moved(guest: Uint8Array): MovedCall {
  const cursor = 0 as SeqNum;
  const pins = { initialCursor: cursor, timeMs: 0, seed: new Uint8Array(SEED_BYTES), nonce: new Uint8Array(NONCE_BYTES) };
  const steps = { position: 1, cursor, dependency: cursor, touched: false, isChild: false, base: cursor, writes: 0 };
  return {
    tenant: TENANT,
    instance: "bench" as InstanceId,
    init: new Uint8Array(0),
    steps: { origin: "unlogged", pins, ...steps, readsFrom: cursor, reading: null },
    children: [],
    guest,
    answer: null,
    cause: "drain",
    writtenBytes: 0,
    moves: 1,
    cpuMs: 0,
    runCpuMs: 0,
  };
}
