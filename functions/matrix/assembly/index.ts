/** A product of matrices, by several calls at once: over one memory region, or with copies of all that each of them needs. */
import { input, MemoryRegion, objects, output, outputBytes, random, startBytes, StartedCall, toBytes } from "../../../guest-sdk/assembly";

const SIZE_MAX: i32 = 1024;
const CALLS_MAX: i32 = 32;

export function main(): i32 {
  const words = input().split(" ");
  if (words[0] == "rows") return multiplyShared(words[1], number(words, 2), number(words, 3), number(words, 4));
  if (words[0] == "rows-copied") return multiplyCopied(words[1], number(words, 2), number(words, 3), number(words, 4));
  const n = number(words, 0);
  const calls = number(words, 1);
  const copies = words.length == 3 && words[2] == "copy";
  if (n < 1 || n > SIZE_MAX || calls < 1 || calls > CALLS_MAX || words.length > 3 || (words.length == 3 && !copies && words[2] != "region")) {
    output("usage: <size, 1 to " + SIZE_MAX.toString() + "> <calls, 1 to " + CALLS_MAX.toString() + "> [region|copy]");
    return 2;
  }
  // A name of this call's own: others may be multiplying, too.
  const name = "matrix/" + (<i64>(random() * 9e15)).toString(36);
  output(copies ? productByCopies(name, n, calls) : productInRegion(name, n, calls));
  return 0;
}

/** The region holds A, B and their product C, row by row. */
function productInRegion(name: string, n: i32, calls: i32): string {
  const region = MemoryRegion.open(name, <u32>(3 * n * n * 8));
  const a = region.view<f64>(0, n * n);
  const b = region.view<f64>(n * n * 8, n * n);
  const c = region.view<f64>(2 * n * n * 8, n * n);
  for (let at = 0; at < n * n; at++) {
    a[at] = aAt(at);
    b[at] = bAt(at);
  }
  waitForAll(startRows("rows " + name, n, calls));
  let sum: f64 = 0;
  for (let at = 0; at < n * n; at++) sum += c[at] * weight(at);
  return sum.toString();
}

function multiplyShared(name: string, n: i32, from: i32, to: i32): i32 {
  const region = MemoryRegion.find(name);
  if (region === null) throw new Error("the matrices are gone");
  const a = region.view<f64>(0, n * n);
  // Read by every row: copied in once, as each access to the region is checked.
  const b = numbersOf(region.read(n * n * 8, n * n * 8));
  const c = new Float64Array(n);
  for (let row = from; row < to; row++) {
    c.fill(0);
    for (let k = 0; k < n; k++) addRow(c, a[row * n + k], b, k * n);
    region.write((2 * n * n + row * n) * 8, bytesOf(c));
  }
  return 0;
}

/** Adds `factor` times the row of `b` that begins at `at`. */
function addRow(c: Float64Array, factor: f64, b: Float64Array, at: i32): void {
  for (let column = 0; column < c.length; column++) unchecked((c[column] += factor * b[at + column]));
}

/** A and B are objects; each call reads them, and gives its rows of the product back as its output. */
function productByCopies(name: string, n: i32, calls: i32): string {
  const a = new Float64Array(n * n);
  const b = new Float64Array(n * n);
  for (let at = 0; at < n * n; at++) {
    a[at] = aAt(at);
    b[at] = bAt(at);
  }
  objects.putBytes(name + "/a", bytesOf(a));
  objects.putBytes(name + "/b", bytesOf(b));
  const parts = waitForAll(startRows("rows-copied " + name, n, calls));
  let at = 0;
  let sum: f64 = 0;
  for (let part = 0; part < parts.length; part++) {
    const rows = Float64Array.wrap(parts[part].buffer, parts[part].byteOffset, parts[part].byteLength / 8);
    for (let i = 0; i < rows.length; i++) sum += rows[i] * weight(at++);
  }
  objects.remove(name + "/a");
  objects.remove(name + "/b");
  return sum.toString();
}

function multiplyCopied(name: string, n: i32, from: i32, to: i32): i32 {
  const a = numbersOf(objects.getBytes(name + "/a")!);
  const b = numbersOf(objects.getBytes(name + "/b")!);
  for (let row = from; row < to; row++) {
    const c = new Float64Array(n);
    for (let k = 0; k < n; k++) addRow(c, a[row * n + k], b, k * n);
    outputBytes(bytesOf(c));
  }
  return 0;
}

function startRows(what: string, n: i32, calls: i32): StartedCall[] {
  const started: StartedCall[] = [];
  for (let i = 0; i < calls; i++) {
    const rows = what + " " + n.toString() + " " + ((n * i) / calls).toString() + " " + ((n * (i + 1)) / calls).toString();
    started.push(startBytes("matrix", toBytes(rows)));
  }
  return started;
}

function waitForAll(calls: StartedCall[]): Uint8Array[] {
  const outputs: Uint8Array[] = [];
  for (let i = 0; i < calls.length; i++) {
    const outcome = calls[i].wait();
    if (!outcome.ok) throw new Error("a part failed: " + outcome.text);
    outputs.push(outcome.bytes);
  }
  return outputs;
}

// What is multiplied, and what is told of the product: whole numbers, so that the order of additions makes no difference.

function aAt(at: i32): f64 {
  return <f64>((at * 7) % 11);
}

function bAt(at: i32): f64 {
  return <f64>((at * 5) % 13);
}

function weight(at: i32): f64 {
  return <f64>((at % 17) + 1);
}

function bytesOf(numbers: Float64Array): Uint8Array {
  return Uint8Array.wrap(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function numbersOf(bytes: Uint8Array): Float64Array {
  return Float64Array.wrap(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
}

function number(words: string[], index: i32): i32 {
  return index < words.length ? I32.parseInt(words[index]) : 0;
}
