/** Stochastic gradient descent by several calls at once: on one shared vector, or round by round with copies of it. */
import { input, inputBytes, MemoryRegion, output, outputBytes, startBytes, StartedCall, toBytes } from "../../../guest-sdk/assembly";

/** The vector is approximate whatever the order of steps is: steps that are done twice, or lost, do no harm. */
export const neap_region_safe: bool = true;

const NAME = "sgd/model";
const RATE: f64 = 0.5;
const ROUNDS: i32 = 8;
const FEATURES_MAX: i32 = 4096;
const CALLS_MAX: i32 = 32;
const TESTS: i32 = 200;
/** The first 4 bytes of a round's input; what else begins so is a text. */
const ROUND: u32 = 0x444e5201;

export function main(): i32 {
  const bytes = inputBytes();
  if (bytes.length >= 16 && load<u32>(bytes.dataStart) == ROUND) return learnRound(bytes);
  const words = input().split(" ");
  if (words[0] == "learn") return learnShared(number(words, 1), number(words, 2), number(words, 3));
  const features = number(words, 0);
  const calls = number(words, 1);
  const samples = number(words, 2);
  const copies = words.length == 4 && words[3] == "copy";
  if (features < 1 || features > FEATURES_MAX || calls < 1 || calls > CALLS_MAX || samples < 1 || words.length > 4 || (words.length == 4 && !copies && words[3] != "region")) {
    output("usage: <features, 1 to " + FEATURES_MAX.toString() + "> <calls, 1 to " + CALLS_MAX.toString() + "> <samples of each call> [region|copy]");
    return 2;
  }
  const learned = copies ? learnByCopies(features, calls, samples) : learnInRegion(features, calls, samples);
  output("loss " + loss(new Float64Array(features)).toString() + " -> " + loss(learned).toString());
  return 0;
}

/** Goes on with the model that is stored, if it has as many features; all calls change the same vector. */
function learnInRegion(features: i32, calls: i32, samples: i32): Float64Array {
  const region = MemoryRegion.open(NAME + "/" + features.toString(), <u32>(features * 8));
  region.pull();
  const started: StartedCall[] = [];
  for (let i = 0; i < calls; i++) {
    started.push(startBytes("sgd", toBytes("learn " + features.toString() + " " + i.toString() + " " + samples.toString())));
  }
  for (let i = 0; i < calls; i++) outputOf(started[i]);
  region.push();
  const bytes = region.read(0, features * 8);
  return Float64Array.wrap(bytes.buffer, bytes.byteOffset, features);
}

function learnShared(features: i32, seed: i32, samples: i32): i32 {
  const model = MemoryRegion.open(NAME + "/" + features.toString(), <u32>(features * 8)).view<f64>();
  const x = new Float64Array(features);
  for (let sample = 0; sample < samples; sample++) {
    const y = draw(x, seed * 1000003 + sample);
    let guess: f64 = 0;
    for (let i = 0; i < features; i++) guess += model[i] * unchecked(x[i]);
    const step = RATE * (y - guess);
    for (let i = 0; i < features; i++) model[i] = model[i] + step * unchecked(x[i]);
  }
  return 0;
}

/** Each round gives every call a copy of the model, and takes the mean of what they make of it. */
function learnByCopies(features: i32, calls: i32, samples: i32): Float64Array {
  let model = new Float64Array(features);
  for (let round = 0; round < ROUNDS; round++) {
    const started: StartedCall[] = [];
    for (let i = 0; i < calls; i++) {
      const bytes = new Uint8Array(16 + features * 8);
      store<u32>(bytes.dataStart, ROUND);
      store<i32>(bytes.dataStart + 4, features);
      store<i32>(bytes.dataStart + 8, i * ROUNDS + round);
      store<i32>(bytes.dataStart + 12, (samples + ROUNDS - 1) / ROUNDS);
      memory.copy(bytes.dataStart + 16, model.dataStart, features * 8);
      started.push(startBytes("sgd", bytes));
    }
    const mean = new Float64Array(features);
    for (let i = 0; i < calls; i++) {
      const bytes = outputOf(started[i]);
      const learned = Float64Array.wrap(bytes.buffer, bytes.byteOffset, features);
      for (let j = 0; j < features; j++) mean[j] += learned[j] / <f64>calls;
    }
    model = mean;
  }
  return model;
}

function learnRound(bytes: Uint8Array): i32 {
  const features = load<i32>(bytes.dataStart + 4);
  const seed = load<i32>(bytes.dataStart + 8);
  const samples = load<i32>(bytes.dataStart + 12);
  const model = new Float64Array(features);
  memory.copy(model.dataStart, bytes.dataStart + 16, features * 8);
  const x = new Float64Array(features);
  for (let sample = 0; sample < samples; sample++) {
    const y = draw(x, seed * 1000003 + sample);
    let guess: f64 = 0;
    for (let i = 0; i < features; i++) guess += unchecked(model[i] * x[i]);
    const step = RATE * (y - guess);
    for (let i = 0; i < features; i++) unchecked((model[i] = model[i] + step * x[i]));
  }
  outputBytes(Uint8Array.wrap(model.buffer, model.byteOffset, model.byteLength));
  return 0;
}

/** The mean squared error over samples that nobody learns from. */
function loss(model: Float64Array): f64 {
  const x = new Float64Array(model.length);
  let sum: f64 = 0;
  for (let test = 0; test < TESTS; test++) {
    const y = draw(x, -1 - test);
    let guess: f64 = 0;
    for (let i = 0; i < model.length; i++) guess += model[i] * x[i];
    sum += (y - guess) * (y - guess);
  }
  return Math.round((sum / TESTS) * 1e6) / 1e6;
}

/** Fills `x` with a sample, equal for equal seeds, and gives its value under the model that shall be found. */
function draw(x: Float64Array, seed: i32): f64 {
  let state: u32 = <u32>seed * 2654435761 + 12345;
  let y: f64 = 0;
  const scale = 1 / Math.sqrt(<f64>x.length);
  for (let i = 0; i < x.length; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    const value = (<f64>state / 4294967296.0 - 0.5) * 2 * scale;
    x[i] = value;
    y += value * <f64>((i % 7) - 3);
  }
  return y;
}

function outputOf(call: StartedCall): Uint8Array {
  const outcome = call.wait();
  if (!outcome.ok) throw new Error("a part failed: " + outcome.text);
  return outcome.bytes;
}

function number(words: string[], index: i32): i32 {
  return index < words.length ? I32.parseInt(words[index]) : 0;
}
