/** Computations without host calls: what checks in loops cost. Each returns what it found, to be compared. */

@unmanaged
class Body {
  x: f64;
  y: f64;
  z: f64;
  vx: f64;
  vy: f64;
  vz: f64;
  mass: f64;
}

const K: StaticArray<u32> = roundConstants();

function roundConstants(): StaticArray<u32> {
  const constants = new StaticArray<u32>(64);
  let count = 0;
  for (let n = 2; count < 64; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d++) {
      if (n % d == 0) {
        isPrime = false;
        break;
      }
    }
    if (isPrime) {
      const root = Math.cbrt(n as f64);
      constants[count++] = ((root - Math.floor(root)) * 4294967296.0) as u32;
    }
  }
  return constants;
}

/** SHA-256 of so many bytes, without the padding of the last block; its first word. */
export function sha256(sizeBytes: i32): i32 {
  const data = pseudoRandomBytes(sizeBytes);
  const w = new StaticArray<u32>(64);
  let h0: u32 = 0x6a09e667;
  let h1: u32 = 0xbb67ae85;
  let h2: u32 = 0x3c6ef372;
  let h3: u32 = 0xa54ff53a;
  let h4: u32 = 0x510e527f;
  let h5: u32 = 0x9b05688c;
  let h6: u32 = 0x1f83d9ab;
  let h7: u32 = 0x5be0cd19;
  for (let at = 0; at + 64 <= sizeBytes; at += 64) {
    for (let i = 0; i < 16; i++) {
      w[i] = bswap<u32>(load<u32>(changetype<usize>(data) + at + i * 4));
    }
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15];
      const b = w[i - 2];
      const s0 = rotr<u32>(a, 7) ^ rotr<u32>(a, 18) ^ (a >> 3);
      const s1 = rotr<u32>(b, 17) ^ rotr<u32>(b, 19) ^ (b >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let a = h0;
    let b = h1;
    let c = h2;
    let d = h3;
    let e = h4;
    let f = h5;
    let g = h6;
    let h = h7;
    for (let i = 0; i < 64; i++) {
      const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i];
      const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    h0 += a;
    h1 += b;
    h2 += c;
    h3 += d;
    h4 += e;
    h5 += f;
    h6 += g;
    h7 += h;
  }
  return h0 ^ h7;
}

/** So many steps of five bodies; the low bits of the energy. */
export function nbody(steps: i32): i32 {
  const bodies = new StaticArray<Body>(5);
  for (let i = 0; i < 5; i++) {
    const body = changetype<Body>(heap.alloc(offsetof<Body>()));
    const angle = (i as f64) * 1.3;
    body.x = Math.cos(angle) * (i + 1);
    body.y = Math.sin(angle) * (i + 1);
    body.z = (i as f64) * 0.1;
    body.vx = -Math.sin(angle) * 0.5;
    body.vy = Math.cos(angle) * 0.5;
    body.vz = 0;
    body.mass = i == 0 ? 40 : 0.05 * i;
    bodies[i] = body;
  }
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < 5; i++) {
      const a = bodies[i];
      for (let j = i + 1; j < 5; j++) {
        const b = bodies[j];
        const dx = a.x - b.x;
        const dy = a.y - b.y;
        const dz = a.z - b.z;
        const squared = dx * dx + dy * dy + dz * dz;
        const force = 0.001 / (squared * Math.sqrt(squared));
        a.vx -= dx * b.mass * force;
        a.vy -= dy * b.mass * force;
        a.vz -= dz * b.mass * force;
        b.vx += dx * a.mass * force;
        b.vy += dy * a.mass * force;
        b.vz += dz * a.mass * force;
      }
    }
    for (let i = 0; i < 5; i++) {
      const body = bodies[i];
      body.x += 0.001 * body.vx;
      body.y += 0.001 * body.vy;
      body.z += 0.001 * body.vz;
    }
  }
  let sum = 0.0;
  for (let i = 0; i < 5; i++) {
    sum += bodies[i].x + bodies[i].vy;
  }
  return (reinterpret<i64>(sum) ^ (reinterpret<i64>(sum) >> 32)) as i32;
}

/** Words of so many bytes of text, and a checksum of them. */
export function wordcount(sizeBytes: i32): i32 {
  const text = pseudoRandomBytes(sizeBytes);
  let words = 0;
  let checksum: u32 = 0;
  let isInside = false;
  for (let at = 0; at < sizeBytes; at++) {
    const byte = text[at];
    const isLetter = byte > 40;
    if (isLetter && !isInside) {
      words++;
    }
    if (isLetter) {
      checksum = checksum * 31 + byte;
    }
    isInside = isLetter;
  }
  return words ^ (checksum as i32);
}

/** Sorts so many numbers with a comparator. */
export function sort(count: i32): i32 {
  const numbers = new Array<u32>(count);
  let seed: u32 = 12345;
  for (let i = 0; i < count; i++) {
    seed = seed * 1664525 + 1013904223;
    numbers[i] = seed;
  }
  numbers.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  let checksum: u32 = 0;
  for (let i = 0; i < count; i++) {
    checksum = checksum * 31 + numbers[i];
  }
  return checksum as i32;
}

/** Calls itself about 1.6^n times. */
export function fibonacci(n: i32): i32 {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

function pseudoRandomBytes(sizeBytes: i32): StaticArray<u8> {
  const bytes = new StaticArray<u8>(sizeBytes);
  let seed: u32 = 1;
  for (let i = 0; i < sizeBytes; i++) {
    seed = seed * 1664525 + 1013904223;
    bytes[i] = (seed >> 24) as u8;
  }
  return bytes;
}

export function main(): i32 {
  return 0;
}
