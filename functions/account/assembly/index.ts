import { input, objects, output } from "../../../guest-sdk/assembly";

let amount: i64 = 0;

export function main(): i32 {
  const words = input().split(" ");
  if (words.length == 2) amount = I64.parseInt(words[1]);
  if (words.length != 2 || words[0] == "" || amount.toString() != words[1]) {
    output("usage: <name> <whole number>");
    return 2;
  }
  output(
    objects.update("account/" + words[0], (balance) => {
      return ((balance === null ? <i64>0 : I64.parseInt(balance)) + amount).toString();
    }),
  );
  return 0;
}
