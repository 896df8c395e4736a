// Input "<group> <count>": calls imports of Faasm's host interface that many times.
import { input, output } from "../../../guest-sdk/assembly";

@external("env", "__faasm_read_input")
declare function readInput(buffer: usize, length: i32): i32;
@external("env", "__faasm_read_state_offset")
declare function readStateOffset(key: usize, total: i32, offset: i32, buffer: usize, length: i32): void;
@external("env", "__faasm_write_state_offset")
declare function writeStateOffset(key: usize, total: i32, offset: i32, pointer: usize, length: i32): void;
@external("env", "__faasm_push_state")
declare function pushState(key: usize): void;
@external("env", "__faasm_lock_state_write")
declare function lockStateWrite(key: usize): void;
@external("env", "__faasm_unlock_state_write")
declare function unlockStateWrite(key: usize): void;
@external("env", "mmap")
declare function mmap(address: usize, length: i32, protection: i32, flags: i32, fd: i32, offset: i64): usize;
@external("env", "munmap")
declare function munmap(address: usize, length: i32): i32;
@external("env", "__faasmndp_getMmap")
declare function getMmap(key: usize, keyLength: i32, offset: i64, maxLength: i64, length: usize): usize;
@external("env", "__faasmndp_unmap")
declare function unmap(pointer: usize, length: i32): i32;
@external("env", "__faasm_chain_name")
declare function chainName(name: usize, input: usize, length: i32): i32;
@external("env", "__faasm_await_call")
declare function awaitCall(id: i32): i32;

const VALUE_BYTES = 4096;
const CHUNK_BYTES = 64;
const PRIVATE_ANONYMOUS = 0x22;
const room = memory.data(64);
const length = memory.data(4);

function text(value: string): usize {
  return changetype<usize>(String.UTF8.encode(value, true));
}

export function main(): i32 {
  const words = input().split(" ");
  const count = I32.parseInt(words[1]);
  const key = text("bench");
  let failed = 0;
  if (words[0] == "input") {
    for (let i = 0; i < count; i++) failed |= readInput(room, CHUNK_BYTES) > 0 ? 0 : 1;
  } else if (words[0] == "read") {
    for (let i = 0; i < count; i++) readStateOffset(key, VALUE_BYTES, (i * CHUNK_BYTES) % VALUE_BYTES, room, CHUNK_BYTES);
  } else if (words[0] == "push") {
    for (let i = 0; i < count; i++) {
      store<i32>(room, i + 1);
      writeStateOffset(key, VALUE_BYTES, 0, room, CHUNK_BYTES);
      pushState(key);
    }
  } else if (words[0] == "lock") {
    for (let i = 0; i < count; i++) {
      lockStateWrite(key);
      unlockStateWrite(key);
    }
  } else if (words[0] == "map") {
    for (let i = 0; i < count; i++) failed |= munmap(mmap(0, 65536, 3, PRIVATE_ANONYMOUS, -1, 0), 65536);
  } else if (words[0] == "object") {
    for (let i = 0; i < count; i++) failed |= unmap(getMmap(key, 5, 0, VALUE_BYTES, length), VALUE_BYTES);
  } else if (words[0] == "chain") {
    const name = text("faasm");
    const none = text("none 0");
    for (let i = 0; i < count; i++) failed |= awaitCall(chainName(name, none, 6));
  }
  output("ok");
  return failed;
}
