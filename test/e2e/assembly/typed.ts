// Typed entry points of every sort, and a main beside them.
import { call, json, log, objects, output, sleep, storage } from "../../../guest-sdk/assembly";

class Point {
  x: i8;
  y: u16;
}

class Base {
  id: u64;
}

class Everything extends Base {
  a: i8;
  b: u8;
  c: i16;
  d: u16;
  e: i32;
  f: u32;
  g: i64;
  h: f32;
  i: f64;
  j: bool;
  text: string;
  optional: string | null;
  point: Point;
  points: Array<Point>;
  nested: Array<Array<i32>>;
  maybes: Array<string | null>;
  flags: Array<bool>;
  longs: StaticArray<i64>;
  names: StaticArray<string>;
  bytes: Uint8Array;
  clamped: Uint8ClampedArray;
  floats: Float32Array;
  doubles: Float64Array;
  wide: Uint64Array;
  next: Everything | null;
}

class Parts {
  bytes: Uint8Array;
  wide: Int64Array;
  list: Array<f32>;
}

class Chain {
  value: i32;
  next: Chain | null;
}

export function main(): i32 {
  output("main");
  return 0;
}

export function everything(value: Everything): Everything {
  return value;
}

export function scalars(a: i8, b: u8, c: i16, d: u16, e: i32, f: u32, g: i64, h: u64, i: f32, j: f64, k: bool): Array<string> {
  return [
    a.toString(),
    b.toString(),
    c.toString(),
    d.toString(),
    e.toString(),
    f.toString(),
    g.toString(),
    h.toString(),
    i.toString(),
    j.toString(),
    k.toString(),
  ];
}

export function long(value: i64): i64 {
  return value;
}

export function unsigned(value: u64): u64 {
  return value;
}

export function byte(value: u8): u8 {
  return value;
}

export function single(value: f32): f32 {
  return value;
}

export function double(value: f64): f64 {
  return value;
}

export function flag(value: bool): bool {
  return value;
}

export function text(value: string): string {
  return value;
}

export function maybe(value: string | null): string | null {
  return value;
}

export function lengths(values: Array<string>): Array<i32> {
  const all = new Array<i32>(0);
  for (let i = 0; i < values.length; i++) all.push(values[i].length);
  return all;
}

export function depth(chain: Chain): i32 {
  let depth = 0;
  for (let next: Chain | null = chain; next !== null; next = next.next) depth += 1;
  return depth;
}

export function cycle(): Chain {
  const chain: Chain = { value: 1, next: null };
  chain.next = chain;
  return chain;
}

export function bytes(size: i32): Uint8Array {
  return new Uint8Array(size);
}

/** Parts of longer buffers. */
export function parts(bytes: Uint8Array, wide: Int64Array, list: Array<f32>): Parts {
  return { bytes: bytes.subarray(1, 3), wide: wide.subarray(1), list: list.slice(1) };
}

export function nothing(): void {}

let calls = 0;

export function counted(): i32 {
  calls += 1;
  return calls;
}

export function wrote(): i32 {
  output("written");
  return 1;
}

export function fails(reason: string): i32 {
  throw new Error(reason);
}

export function add(key: string, amount: i64): i64 {
  objects.update(key, (old) => (old === null ? "1" : (I64.parseInt(old) + 1).toString()));
  return I64.parseInt(objects.get(key)!) + amount;
}

/** Counts `<name>/begun`, waits for the object `<name>/gate`, and says what it was called with and how often it has begun. */
export function gated(name: string, parts: Array<string>): Array<string> {
  log("began");
  objects.update(name + "/begun", (old) => (old === null ? "1" : (I64.parseInt(old) + 1).toString()));
  while (!objects.exists(name + "/gate")) sleep(20);
  return [objects.get(name + "/begun")!, parts.join("+")];
}

/** Sleeps, then says what it was called with. */
export function naps(durationMs: i32, parts: Array<string>): string {
  log("began");
  objects.put("napping", "yes");
  sleep(durationMs);
  return parts.join("+");
}

let partKey = "";
let partSize: i64 = 0;

export function sized(key: string): i64 {
  partKey = key;
  storage.run(key, () => {
    partSize = objects.size(partKey);
    return 0;
  });
  return partSize;
}

/** Calls another entry point with the JSON text. */
export function calling(target: string, args: string): string {
  const outcome = call(target, args);
  return outcome.returnValue.toString() + " " + outcome.text;
}

export function spin(): void {
  while (true) {}
}

/** Much work between two numbers. */
export function busy(rounds: i32, values: Array<f64>): f64 {
  let sum = 0.0;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < values.length; i++) sum += values[i];
  }
  return sum;
}

export function quoted(value: string): string {
  return json.unquote(json.quote(value));
}
