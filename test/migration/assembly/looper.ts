// Input "<name>": adds to the object of that name until there is one called "go". Its log shows how often it began.
import { input, log, objects, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  log("began");
  const name = input();
  let count = 0;
  do {
    objects.update(name, (old) => (old === null ? "1" : (I32.parseInt(old) + 1).toString()));
    count += 1;
  } while (objects.get("go") === null);
  output(count.toString());
  return 0;
}
