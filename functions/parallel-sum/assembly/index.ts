/** The sum of all primes below a number, in as many threads as the machine runs at once, or in one. */
import { input, output, parallelFor } from "../../../guest-sdk/assembly";

export { wasi_thread_start } from "../../../guest-sdk/assembly";

const LIMIT_MAX: i32 = 100_000_000;
/** Numbers that one thread looks at before it takes the next ones. */
const GRAIN: i32 = 4096;

export function main(): i32 {
  const words = input().split(" ");
  const limit = <i32>parseInt(words[0]);
  const isAlone = words.length == 2 && words[1] == "alone";
  if (limit < 1 || limit > LIMIT_MAX || (words.length > 1 && !isAlone)) {
    output("usage: <number, 1 to " + LIMIT_MAX.toString() + "> [alone]");
    return 2;
  }
  const sums = new StaticArray<i64>((limit - 1) / GRAIN + 1);
  if (isAlone) {
    for (let from = 0; from < limit; from += GRAIN) addPrimes(from, min(from + GRAIN, limit), sums);
  } else {
    parallelFor(limit, GRAIN, sums, addPrimes);
  }
  let sum: i64 = 0;
  for (let at = 0; at < sums.length; at++) sum += sums[at];
  output(sum.toString());
  return 0;
}

/** Puts the sum of the primes of a chunk into its place: no two threads write to one. */
function addPrimes(from: i32, to: i32, sums: StaticArray<i64>): void {
  let sum: i64 = 0;
  for (let number = from; number < to; number++) {
    if (isPrime(number)) sum += number;
  }
  sums[from / GRAIN] = sum;
}

function isPrime(number: i32): bool {
  if (number < 4) return number > 1;
  if (number % 2 == 0) return false;
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) {
    if (number % divisor == 0) return false;
  }
  return true;
}
