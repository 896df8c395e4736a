// Computes until it is ended.
export function main(): i32 {
  let x: u32 = 1;
  while (x != 0) {
    x = (x * 1664525 + 1013904223) | 1;
  }
  return 0;
}
