// Reads the object "kept/large" to its end, large pieces first and then small ones, into the same rooms. Its log shows how often it began.
import { log, objects, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  log("began");
  let at: i64 = 0;
  let sum: u64 = 0;
  const rooms = [new Uint8Array(600 * 1024), new Uint8Array(1024)];
  for (let piece = 0; ; piece++) {
    const room = rooms[piece < 2 ? 0 : 1];
    const size = objects.read("kept/large", at, room);
    if (size <= 0) break;
    for (let i = 0; i < size; i++) sum += room[i];
    room.fill(0);
    at += size;
  }
  output(`${at} bytes, sum ${sum}`);
  return 0;
}
