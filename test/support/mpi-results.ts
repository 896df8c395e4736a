/** What the samples of functions/mpi answer, computed by one loop each. */

export function sumOfSquares(count: number): bigint {
  let sum = 0n;
  for (let number = 0n; number < BigInt(count); number += 1n) {
    sum += number * number;
  }
  return sum;
}

const HOT = 100;

export function heatOf(side: number, steps: number): string {
  let now = new Float64Array(side * side);
  let next = new Float64Array(side * side);
  let change = 0;
  const at = (x: number, y: number) => (y < 0 ? HOT : y >= side || x < 0 || x >= side ? 0 : (now[y * side + x] ?? 0));
  for (let step = 0; step < steps; step += 1) {
    change = 0;
    for (let y = 0; y < side; y += 1) {
      for (let x = 0; x < side; x += 1) {
        const value = 0.25 * (at(x, y - 1) + at(x, y + 1) + at(x - 1, y) + at(x + 1, y));
        change = Math.max(change, Math.abs(value - at(x, y)));
        next[y * side + x] = value;
      }
    }
    [now, next] = [next, now];
  }
  const middle = at(Math.floor(side / 2), Math.floor(side / 2));
  return `middle ${significant(middle)}, last change ${significant(change)}, all ${hashOf(new Uint8Array(now.buffer))}`;
}

/** As "%.12g" shows it. */
function significant(value: number): string {
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Number(value.toPrecision(12))));
  if (exponent < -4 || exponent >= 12) {
    const [digits = "", power = ""] = value.toExponential(11).split("e");
    const [sign, size] = [power[0] ?? "+", power.slice(1).padStart(2, "0")];
    return `${digits.replace(/\.?0+$/, "")}e${sign}${size}`;
  }
  const fixed = value.toFixed(11 - exponent);
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

function hashOf(bytes: Uint8Array): string {
  let hash = 14_695_981_039_346_656_037n;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1_099_511_628_211n);
  }
  return hash.toString(16).padStart(16, "0");
}

export function sortedNumbers(count: number, seed: number): Buffer {
  const numbers = Uint32Array.from({ length: count }, (_, at) => {
    const first = Math.imul((at + seed) >>> 0, 2_654_435_761) >>> 0;
    const mixed = Math.imul((first ^ (first >>> 15)) >>> 0, 2_246_822_519) >>> 0;
    return (mixed ^ (mixed >>> 13)) >>> 0;
  });
  return Buffer.from(numbers.sort().buffer);
}
