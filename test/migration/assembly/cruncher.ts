// Computes without asking the host: nested loops, a recursion, locals of every kind. Input: how much.
import { input, output } from "../../../guest-sdk/assembly";

let total: i64 = 0;

function ackermann(m: i32, n: i32): i32 {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

function mandelbrot(size: i32): f64 {
  let sum: f64 = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const cr: f64 = <f64>x / <f64>size - 0.7;
      const ci: f64 = <f64>y / <f64>size - 0.4;
      let zr: f64 = 0;
      let zi: f64 = 0;
      let steps: i64 = 0;
      let decay: f32 = 1;
      while (zr * zr + zi * zi < 4 && steps < 60) {
        const next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        decay *= 0.99;
        steps += 1;
      }
      sum += <f64>steps * <f64>decay;
      total = total * 31 + steps;
    }
  }
  return sum;
}

export function main(): i32 {
  const size = I32.parseInt(input());
  let text = "";
  for (let i = 1; i <= 4; i++) text += `${mandelbrot(size * i)} ${ackermann(2, size * i)} `;
  output(`${text}${total}`);
  return size;
}
