// Answers its input.
import { inputBytes, outputBytes } from "../../../guest-sdk/assembly";

export function main(): i32 {
  outputBytes(inputBytes());
  return 0;
}
