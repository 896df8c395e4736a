/**
 * Fork and join: a loop whose turns run in several threads of the call, over one memory. The function is compiled with a shared memory and
 * its runtime, and exports what threads run: see docs/guides/threads.md.
 */
import { threadSpawn, threadsMax } from "./host";

/** A loop that runs, in memory: all of its threads see the same one. */
@unmanaged
class Loop {
  /** Of a chunk that nobody has begun. */
  next: i32 = 0;
  /** Threads that have not ended, without the main thread. */
  running: i32 = 0;
  count: i32 = 0;
  grain: i32 = 0;
  body: usize = 0;
  shared: usize = 0;
}

/**
 * Calls `body` for all chunks [0, grain), [grain, 2 * grain) … up to `count`, in as many threads as there are, and returns when all have
 * ended. Which thread takes a chunk differs from run to run, the chunks do not: what is computed for each of them, and put together in
 * their order, is always the same.
 *
 * `shared` is what the threads have in common. Variables of the module are each thread's own, as they were when the call began. A body
 * may compute, allocate, print and give output; anything else that a function can have the host do ends the call.
 */
export function parallelFor<T>(count: i32, grain: i32, shared: T, body: (from: i32, to: i32, shared: T) => void): void {
  if (count <= 0) return;
  assert(grain > 0, "parallelFor: the grain must be greater than 0");
  const loop = new Loop();
  loop.count = count;
  loop.grain = grain;
  loop.body = changetype<usize>(body);
  loop.shared = changetype<usize>(shared);
  const at = changetype<usize>(loop);
  const running = at + offsetof<Loop>("running");
  for (let more = min(threadsMax(), (count - 1) / grain + 1) - 1; more > 0; more--) {
    atomic.add<i32>(running, 1);
    if (threadSpawn(at) < 0) {
      atomic.sub<i32>(running, 1);
      break;
    }
  }
  work(loop);
  for (let left = atomic.load<i32>(running); left > 0; left = atomic.load<i32>(running)) {
    atomic.wait<i32>(running, left, -1);
  }
}

/** What a thread of `parallelFor` runs: a function that uses it exports this. */
export function wasi_thread_start(_thread: i32, loop: usize): void {
  work(changetype<Loop>(loop));
  const running = loop + offsetof<Loop>("running");
  atomic.sub<i32>(running, 1);
  atomic.notify(running, -1);
}

function work(loop: Loop): void {
  const body = changetype<(from: i32, to: i32, shared: usize) => void>(loop.body);
  const next = changetype<usize>(loop) + offsetof<Loop>("next");
  const chunks = (loop.count - 1) / loop.grain + 1;
  for (let chunk = atomic.add<i32>(next, 1); chunk < chunks; chunk = atomic.add<i32>(next, 1)) {
    const from = chunk * loop.grain;
    body(from, min(from + loop.grain, loop.count), loop.shared);
  }
}
