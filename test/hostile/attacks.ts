/** Guests that do what they can to harm the host or another tenant: one each, as text, with how its caller is answered. */
import type { FunctionLimits } from "../../host/tenancy/index.ts";
import { BYSTANDER } from "../support/bystander.ts";

export interface Attack {
  /** What the module has beside IMPORTS and a memory of 1 page that is called "memory". */
  readonly text: string;
  readonly input?: string;
  readonly status: number;
  /** Of `Neap-Error`; null when it is answered with an output. */
  readonly code: string | null;
  readonly body: RegExp;
  /** Of the function. */
  readonly limits?: FunctionLimits;
  /** It takes so long that others must have been answered meanwhile. */
  readonly isLong?: boolean;
}

/** Of the host, in `host-under-attack.ts`. */
export const LIMITS = { memoryPages: 4096, stateBytes: 1_000_000 };

const IMPORTS = `
  (import "neap" "input_size" (func $input_size (result i32)))
  (import "neap" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "neap" "output_write" (func $output (param i32 i32)))
  (import "neap" "log_write" (func $log (param i32 i32)))
  (import "neap" "object_read" (func $read (param i32 i32 i64 i32 i32 i32) (result i64)))
  (import "neap" "object_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "neap" "object_list" (func $list (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "neap" "call_start" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "neap" "call_await" (func $await (param i32 i32 i32 i32) (result i64)))
  (import "neap" "call_spawn" (func $spawn (param i32 i32 i32 i32 i64 i32 i32) (result i32)))
  (import "neap" "storage_call" (func $part (param i32 i32 i32) (result i32)))
  (import "neap" "sleep" (func $sleep (param i64)))
  (import "neap" "sync" (func $sync))`;

/** `memory` beside what is exported: other limits than "1". */
export const moduleText = (text: string, memory = "1"): string =>
  `(module ${IMPORTS} (memory (export "memory") ${memory}) (data (i32.const 0) "key") (data (i32.const 16) "self") ${text})`;

const main = (body: string, result = "") => `(func (export "main") ${result} ${body})`;
const MAX_BYTES = LIMITS.memoryPages * 65_536;
const growToMax = `(drop (memory.grow (i32.const ${LIMITS.memoryPages - 1})))`;
/** Less than what makes a slice long: on a busy machine a thread of the lowest priority would get as much only after minutes. */
const CPU_TIME_MS = 20;
const cpuLimit = {
  limits: { cpuTimeMs: CPU_TIME_MS },
  status: 500,
  code: "CPU_LIMIT",
  body: /^the call took more than 20 ms of CPU time$/,
} as const;
const trapped = (body: RegExp) => ({ status: 500, code: "CALL_FAILED", body }) as const;
const TEXT_OF = (key: string) => Array.from(key, (letter) => `\\${letter.charCodeAt(0).toString(16).padStart(2, "0")}`).join("");

export const ATTACKS: Readonly<Record<string, Attack>> = {
  "endless loop": { text: main("(loop (br 0))"), ...cpuLimit },
  "endless loop over an import": { text: main("(loop (drop (call $input_size)) (br 0))"), ...cpuLimit },
  "endless loop over an import that suspends": {
    text: main(
      "(loop (drop (call $read (i32.const 0) (i32.const 3) (i64.const 0) (i32.const 64) (i32.const 8) (i32.const 0))) (br 0))",
    ),
    ...cpuLimit,
  },
  "endless loop that is given all the CPU time it wants": {
    text: main("(loop (br 0))"),
    limits: { wallTimeMs: 3000 },
    status: 504,
    code: "TIME_LIMIT",
    body: /^the call ran longer than 3000 ms$/,
    isLong: true,
  },
  "endless recursion": {
    text: '(func $f (export "main") (call $f) (call $f))',
    status: 500,
    code: "STACK_OVERFLOW",
    body: /^the call overflowed its stack$/,
  },
  "endless recursion that catches its own end": {
    text: `(func $f (try (do (call $f) (call $f)) (catch_all (loop (br 0))))) ${main("(call $f)")}`,
    status: 500,
    code: "STACK_OVERFLOW",
    body: /^the call overflowed its stack$/,
  },
  "memory bomb": {
    text: main(`(local $at i32)
      (loop $more
        (local.set $at (i32.mul (memory.grow (i32.const 16)) (i32.const 65536)))
        (if (i32.lt_s (local.get $at) (i32.const 0)) (then unreachable))
        (i32.store (local.get $at) (i32.const 1))
        (br $more))`),
    ...trapped(/^Call failed \(return value=1\)\nunreachable/),
  },
  "table bomb": {
    text: `(table (export "t") 65536 65536 funcref) (elem (i32.const 0) $f) (func $f)
      ${main(`(local $at i32) (loop $all
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $all (i32.lt_u (local.get $at) (i32.const 65535)))) (call_indirect (local.get $at))`)}`,
    ...trapped(/^Call failed \(return value=1\)\n.*(null function|signature|index)/),
  },
  "fill bomb": {
    text: main(`${growToMax} (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const ${MAX_BYTES})) (br 0))`),
    ...cpuLimit,
  },
  "copy bomb": {
    text: main(
      `${growToMax} (loop (memory.copy (i32.const 0) (i32.const ${MAX_BYTES / 2}) (i32.const ${MAX_BYTES / 2})) (br 0))`,
    ),
    ...cpuLimit,
  },
  "output flood": {
    text: main("(loop (call $output (i32.const 0) (i32.const 65536)) (br 0))"),
    status: 500,
    code: "OUTPUT_TOO_LARGE",
    body: /16777216/,
  },
  "log flood": {
    text: main(`(local $left i32) (local.set $left (i32.const 3000))
      (loop $more (call $log (i32.const 0) (i32.const 65536))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))`),
    status: 200,
    code: null,
    body: /^$/,
  },
  "state flood": {
    text: main("(loop (drop (call $write (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3000))) (br 0))"),
    status: 500,
    code: "STATE_LIMIT",
    body: /^Call failed \(return value=1\)\nSTATE_LIMIT: the call writes 1002000 bytes of state or more, at most 1000000/,
  },
  "import inside an import: a part that runs itself": {
    text: `(table 4 funcref) (elem (i32.const 0) $part_f)
      (func $part_f (result i32) (call $part (i32.const 0) (i32.const 3) (i32.const 0)))
      ${main("(i32.eqz (call $part (i32.const 0) (i32.const 3) (i32.const 0)))", "(result i32)")}`,
    ...trapped(/^Call failed \(return value=1\)\n?/),
  },
  "import inside an import: main as a part of itself": {
    text: `(table 4 funcref) (elem (i32.const 0) $main)
      (func $main (export "main") (result i32)
        (drop (call $call (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 0)))
        (call $part (i32.const 0) (i32.const 3) (i32.const 0)))`,
    ...trapped(/^Call failed \(return value=-?\d+\)/),
  },
  "a function of the table that is none": {
    text: `(table 4 funcref) ${main("(drop (call $part (i32.const 0) (i32.const 3) (i32.const 3)))")}`,
    ...trapped(/^Call failed \(return value=1\)\nthe table has no function at 3/),
  },
  "catches what a host call says against it, and goes on": {
    text: main(`(try (do (call $output (i32.const -1) (i32.const 10))) (catch_all))
      (try (do (drop (call $write (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)))) (catch_all))
      (try (do (call $output (i32.const 0) (i32.const 3))) (catch_all))`),
    ...trapped(/^Call failed \(return value=1\)\noutput_write: text at 4294967295 \+ 10 is outside the memory/),
  },
  "catches what a host call says against it, and loops": {
    text: main("(try (do (call $output (i32.const -1) (i32.const 10))) (catch_all (loop (br 0))))"),
    ...cpuLimit,
  },
  "calls itself for ever": {
    text: main(
      `(drop (call $await (call $call (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 64) (i32.const 0) (i32.const 0)))`,
    ),
    status: 200,
    code: null,
    body: /^$/,
  },
  "reads objects of another tenant": {
    text: `(data (i32.const 100) "${TEXT_OF("secret")}") (data (i32.const 120) "${TEXT_OF(`../${BYSTANDER}/secret`)}")
      ${main(
        `(i32.and
          (i64.ne (call $read (i32.const 100) (i32.const 6) (i64.const 0) (i32.const 512) (i32.const 100) (i32.const 0)) (i64.const -1))
          (i64.ne (call $read (i32.const 120) (i32.const ${BYSTANDER.length + 10}) (i64.const 0) (i32.const 512) (i32.const 100) (i32.const 0)) (i64.const -1)))`,
        "(result i32)",
      )}`,
    status: 200,
    code: null,
    body: /^$/,
  },
  "calls a function of another tenant": {
    text: `(data (i32.const 100) "counter") ${main(
      `(i64.ne (i64.const -4)
        (call $await (call $call (i32.const 100) (i32.const 7) (i32.const 0) (i32.const 0)) (i32.const 512) (i32.const 100) (i32.const 0)))`,
      "(result i32)",
    )}`,
    status: 200,
    code: null,
    body: /^$/,
  },
};

/** The body of a function that looks through all memory it can get for the first bytes of the bystander's secret; 1 when it finds them. */
export const SCAVENGES = `(result i32) (local $at i32) (local $end i32)
  (drop (memory.grow (i32.const 63)))
  (local.set $end (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)))
  (loop $all
    (if (i64.eq (i64.load (local.get $at)) (i64.xor (i64.const 0x5a5a5a5a5a5a5a5a) (i64.const ${xored("s3cret-o")})))
      (then (return (i32.const 1))))
    (br_if $all (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
  (i32.const 0)`;

/** @param there  what else is in the module */
export const scavenger = (there = ""): string => moduleText(main(SCAVENGES) + there);

/** As a little-endian number, xor 0x5a…: the module itself must not hold what it looks for. */
function xored(text: string): string {
  return `0x${Buffer.from(Buffer.from(text).map((byte) => byte ^ 0x5a))
    .reverse()
    .toString("hex")}`;
}
