import { output, parallelFor } from "../../../../guest-sdk/assembly";

export { wasi_thread_start } from "../../../../guest-sdk/assembly";

/** Uses all of the SDK that is about threads. */
export function main(): i32 {
  const squares = new StaticArray<i32>(10);
  parallelFor(squares.length, 3, squares, (from: i32, to: i32, squares: StaticArray<i32>) => {
    for (let at = from; at < to; at++) squares[at] = at * at;
  });
  output(squares.join(" "));
  return 0;
}
