import { input, now, objects, output, parallelFor, random, sleep, start } from "../../../guest-sdk/assembly";

export { wasi_thread_start } from "../../../guest-sdk/assembly";

/** Each thread has its own. */
let isMain = false;

/** What the turns of a loop share. */
class Shared {
  what: string = "";
  texts: StaticArray<string> = new StaticArray<string>(0);
  numbers: StaticArray<f64> = new StaticArray<f64>(4);
  met: StaticArray<i32> = new StaticArray<i32>(1);
}

export function main(): i32 {
  const words = input().split(" ");
  const shared = new Shared();
  if (words[0] == "allocate") return allocate(<i32>parseInt(words[1]), shared);
  if (words[0] == "meet") return meet(shared);
  if (words[0] == "steps") return steps(<i32>parseInt(words[1]), shared);
  if (words[0] == "draw") return draw(shared);
  shared.what = words[1];
  isMain = true;
  // What the main thread takes it does not come to the end of.
  parallelFor(2, 1, shared, (from: i32, to: i32, shared: Shared) => {
    if (isMain) atomic.wait<i32>(changetype<usize>(shared.met), 0, -1);
    act(shared.what);
  });
  return 0;
}

function act(what: string): void {
  if (what == "put") objects.put("a", "b");
  if (what == "call") start("worker", "");
  if (what == "sleep") sleep(1);
  if (what == "abort") throw new Error("a thread gives up");
}

function allocate(count: i32, shared: Shared): i32 {
  shared.texts = new StaticArray<string>(count);
  parallelFor(count, 7, shared, (from: i32, to: i32, shared: Shared) => {
    for (let at = from; at < to; at++) {
      let text = "";
      for (let word = 0; word < 20; word++) text += at.toString() + ",";
      shared.texts[at] = text;
    }
  });
  let wrong = 0;
  for (let at = 0; at < count; at++) {
    if (shared.texts[at] != (at.toString() + ",").repeat(20)) wrong++;
  }
  output(count.toString() + " strings, " + wrong.toString() + " wrong");
  return 0;
}

/** Each of two chunks waits for the other. */
function meet(shared: Shared): i32 {
  parallelFor(2, 1, shared, (from: i32, to: i32, shared: Shared) => {
    const at = changetype<usize>(shared.met);
    atomic.add<i32>(at, 1);
    atomic.notify(at, -1);
    while (atomic.load<i32>(at) < 2) atomic.wait<i32>(at, 1, -1);
  });
  output("met");
  return 0;
}

function steps(chunks: i32, shared: Shared): i32 {
  parallelFor(chunks, 1, shared, (from: i32, to: i32, shared: Shared) => {
    atomic.add<i32>(changetype<usize>(shared.met), 1);
  });
  const before = objects.get("count");
  const count = (before === null ? 0 : <i32>parseInt(before)) + shared.met[0];
  objects.put("count", count.toString());
  output(shared.met[0].toString() + " chunks, counted " + count.toString());
  return 0;
}

function draw(shared: Shared): i32 {
  parallelFor(3, 1, shared, (from: i32, to: i32, shared: Shared) => {
    if (from == 0) shared.numbers[3] = <f64>now();
    shared.numbers[from] = random();
  });
  output(shared.numbers[3].toString() + " " + shared.numbers[0].toString() + " " + shared.numbers[1].toString() + " " + shared.numbers[2].toString());
  return 0;
}
