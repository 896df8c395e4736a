import { input, objects, output, outputBytes } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const key = input();
  const value = objects.getBytes(key);
  if (value === null) {
    output("FAILED - no object found with key '" + key + "'");
  } else {
    outputBytes(value);
  }
  return 0;
}
