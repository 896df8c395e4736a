// Computes without asking the host for anything: nested loops, recursion, a comparator, a map, floats.
import { input, output } from "../../../guest-sdk/assembly";

function ways(rest: i32, coin: i32): i32 {
  if (rest == 0) return 1;
  if (rest < 0 || coin == 0) return 0;
  return ways(rest - coin, coin) + ways(rest, coin - 1);
}

export function main(): i32 {
  const rounds = I32.parseInt(input());
  const seen = new Map<i32, f64>();
  let checksum: u64 = 1;
  for (let round = 0; round < rounds; round++) {
    const numbers = new Array<i32>();
    for (let i = 0; i < 200; i++) {
      checksum = checksum * 6364136223846793005 + 1442695040888963407;
      numbers.push((checksum >> 40) as i32);
    }
    numbers.sort((a, b) => a - b);
    let sum: f64 = 0;
    for (let i = 0; i < numbers.length; i++) {
      sum += Math.sqrt(numbers[i] as f64) * (i as f64);
    }
    seen.set(round % 17, sum);
    checksum ^= ways(20 + (round % 5), 9);
  }
  let total: f64 = 0;
  const keys = seen.keys();
  for (let i = 0; i < keys.length; i++) {
    total += seen.get(keys[i]);
  }
  output(`${checksum} ${total}`);
  return 0;
}
