import { input, objects, output } from "../../../guest-sdk/assembly";

let amount: i64 = 1;

export function main(): i32 {
  const words = input().split(" ");
  if (words.length == 2) amount = I64.parseInt(words[1]);
  if (words[0] == "" || words.length > 2 || (words.length == 2 && amount.toString() != words[1])) {
    output("usage: <key> [<whole number>]");
    return 2;
  }
  // When two calls come at once, one of them computes again: no increment is lost.
  output(
    objects.update(words[0], (old) => {
      const count = old === null ? <i64>0 : I64.parseInt(old);
      if (old !== null && count.toString() != old) throw new Error("the object is not a counter");
      return (count + amount).toString();
    }),
  );
  return 0;
}
