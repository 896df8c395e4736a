// Asks the host in every place where a call can be stopped: in nested loops, at the bottom of a recursion, in the comparator of a sort,
// between floats and 64-bit integers that live in locals, while a map and a string are being built. Input: a number that it begins with.
import { call, input, log, lock, now, objects, output, random, sleep, toText, unlock } from "../../../guest-sdk/assembly";

let counter: i64 = 0;
let mean: f64 = 0.5;
let single: f32 = 1.25;

class Node {
  left: Node | null = null;
  right: Node | null = null;
  constructor(public key: i32, public text: string) {}
}

/** A number from the host: an object read, or a lock's token, which is an i64. */
function ask(key: string): f64 {
  counter += 1;
  const text = objects.get(key);
  return text === null ? NaN : parseFloat(text);
}

function insert(node: Node | null, key: i32, depth: i32): Node {
  if (node === null) {
    const weight = ask(`leaf/${key % 5}`);
    return new Node(key, `${key}@${depth}:${weight}`);
  }
  if (key < node.key) node.left = insert(node.left, key, depth + 1);
  else node.right = insert(node.right, key, depth + 1);
  return node;
}

function walk(node: Node | null): string {
  if (node === null) return "";
  return walk(node.left) + node.text + ";" + walk(node.right);
}

function nested(seed: i32): f64 {
  let sum: f64 = 0;
  let product: i64 = 1;
  let small: f32 = 0.5;
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 3; j++) {
      const factor = <f64>(i * 3 + j) * 1.0625;
      const wide = (<i64>seed << 33) + <i64>(i * j);
      sum += ask(`cell/${i}`) * factor;
      product = product * 6364136223846793005 + wide;
      small = small * 1.5 + <f32>j;
    }
    objects.put(`row/${i}`, `${sum} ${product} ${small}`);
  }
  mean = (mean + sum) / 2;
  single += small;
  return sum + <f64>(product % 1000) + <f64>small;
}

function sorted(seed: i32): string {
  const items = new Array<i32>();
  for (let i = 0; i < 7; i++) items.push((seed * 31 + i * 17) % 23);
  items.sort((a, b) => {
    const bias = ask("bias");
    return a - b + <i32>bias;
  });
  return items.join(",");
}

export function main(): i32 {
  const seed = I32.parseInt(input());
  let text = `begin ${now()} ${random()}\n`;
  output(text);
  const counts = new Map<string, i32>();
  text = "";
  for (let i = 0; i < 5; i++) {
    const key = objects.get(`word/${(seed + i) % 3}`);
    const word = key === null ? "none" : key;
    counts.set(word, (counts.has(word) ? counts.get(word) : 0) + i);
    text += word + "-";
    sleep(1);
  }
  let root: Node | null = null;
  for (let i = 0; i < 9; i++) root = insert(root, (seed * 7 + i * 11) % 29, 0);
  output(`${text} ${walk(root)}\n`);
  const token = lock("gate");
  const total = nested(seed);
  output(`${total} ${mean} ${single} token ${token} ${sorted(seed)}\n`);
  unlock("gate");
  const answer = call("other", text);
  const keys = counts.keys();
  for (let i = 0; i < keys.length; i++) output(`${keys[i]}=${counts.get(keys[i])} `);
  // A value of several slices, and one that the guest asks for again with more room.
  const long = objects.getBytes("long");
  output(`${long === null ? -1 : long.length} ${answer.text.length} ${now()} ${random()} ${counter}`);
  log(`done ${counter}`);
  return <i32>(counter % 128);
}
