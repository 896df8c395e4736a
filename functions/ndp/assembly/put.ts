import { objects, output } from "../../../guest-sdk/assembly";
import { readArguments } from "./shared/arguments";

export function main(): i32 {
  const given = readArguments();
  const value = given.rest;
  if (value === null || given.key == "") {
    output("usage: <key> <value>");
    return 2;
  }
  objects.putBytes(given.key, value);
  output("OK");
  return 0;
}
