import { input, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const name = input();
  output("Hello, " + (name == "" ? "world" : name) + "!");
  return 0;
}
