// Input "<key> <offset> <length>": answers the size of the object and the bytes of the slice.
import { input, objects, output, outputBytes } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  output(`${objects.size(words[0])}\n`);
  const slice = new Uint8Array(I32.parseInt(words[2]));
  const read = objects.read(words[0], I64.parseInt(words[1]), slice);
  outputBytes(slice.subarray(0, read));
  return 0;
}
