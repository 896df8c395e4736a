// Input "here|part <name>": counts <name>/begun, waits for an object <name>/gate, counts <name>/ended, and answers that count.
// With "part" all of it is a storage part.
import { input, objects, output, sleep, storage } from "../../../guest-sdk/assembly";

let name = "";
let inPart = false;
let burnt: u32 = 1;

export function main(): i32 {
  const words = input().split(" ");
  name = words[1];
  inPart = words[0].startsWith("part");
  if (inPart) storage.run(`${name}/data`, run);
  else run();
  const ended = objects.get(`${name}/ended`);
  if (ended !== null) output(ended);
  return 0;
}

function run(): i32 {
  count("/begun");
  // Each step moves the call's view of the objects forward.
  while (!objects.exists(`${name}/gate`)) {
    if (inPart) {
      burn();
      objects.put(`${name}/tick`, "tick");
    } else {
      sleep(20);
    }
  }
  count("/ended");
  return 0;
}

function count(what: string): void {
  objects.update(name + what, (old) => (old === null ? "1" : (I64.parseInt(old) + 1).toString()));
}

/** A storage part may not sleep. */
function burn(): void {
  for (let i = 0; i < 5_000_000; i++) burnt = burnt * 1664525 + 1013904223;
}
