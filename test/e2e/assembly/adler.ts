// Answers "<size> <Adler-32>" of its input.
import { inputBytes, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const bytes = inputBytes();
  let a: u32 = 1;
  let b: u32 = 0;
  for (let i = 0; i < bytes.length; i++) {
    a = (a + bytes[i]) % 65521;
    b = (b + a) % 65521;
  }
  output(`${bytes.length} ${(b << 16) | a}`);
  return 0;
}
