import { input, output, select, startBound, StartedCall } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  if (words.length < 2 || words.length > 17 || words.includes("")) {
    output("usage: <function> <input> [<input> …], at most 16 inputs");
    return 2;
  }
  const calls: StartedCall[] = [];
  for (let i = 1; i < words.length; i++) calls.push(startBound(words[0], words[i]));

  // Which one is first is a matter of luck, and logged: should this call run again, it takes the same one.
  const first = select(calls);
  for (let i = 0; i < calls.length; i++) {
    if (i != first) calls[i].cancel();
  }
  const outcome = calls[first].wait();
  output(words[first + 1] + ": " + outcome.text);
  return outcome.returnValue;
}
