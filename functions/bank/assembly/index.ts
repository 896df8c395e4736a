import { input, Isolation, objects, output, transaction } from "../../../guest-sdk/assembly";

let from = "";
let to = "";
let amount: i64 = 0;
let answer = "";
let returnValue: i32 = 0;

export function main(): i32 {
  const words = input().split(" ");
  if (words[0] == "total" && words.length == 1) {
    transaction.run(Isolation.Serializable, total);
  } else if (words[0] == "open" && words.length == 3 && readAmount(words[2])) {
    to = words[1];
    transaction.run(Isolation.Serializable, open);
  } else if (words[0] == "move" && words.length == 4 && readAmount(words[3])) {
    from = words[1];
    to = words[2];
    transaction.run(Isolation.Serializable, move);
  } else {
    answer = "usage: open <name> <amount> | move <from> <to> <amount> | total";
    returnValue = 2;
  }
  output(answer);
  return returnValue;
}

/** What a transaction runs starts from nothing: it may run more than once. */
function finish(value: i32, text: string): void {
  returnValue = value;
  answer = text;
}

function open(): void {
  if (objects.exists(account(to))) return finish(1, to + " has an account");
  objects.put(account(to), amount.toString());
  finish(0, to + " " + amount.toString());
}

function move(): void {
  if (!objects.exists(account(from)) || !objects.exists(account(to))) return finish(1, "no such account");
  if (balance(from) < amount) return finish(1, from + " has " + balance(from).toString());
  objects.put(account(from), (balance(from) - amount).toString());
  objects.put(account(to), (balance(to) + amount).toString());
  finish(0, from + " " + balance(from).toString() + ", " + to + " " + balance(to).toString());
}

function total(): void {
  let sum: i64 = 0;
  const keys = objects.list("bank/");
  for (let i = 0; i < keys.length; i++) sum += I64.parseInt(objects.get(keys[i])!);
  finish(0, sum.toString());
}

function account(name: string): string {
  return "bank/" + name;
}

function balance(name: string): i64 {
  return I64.parseInt(objects.get(account(name))!);
}

function readAmount(word: string): bool {
  amount = I64.parseInt(word);
  return amount >= 0 && amount.toString() == word;
}
