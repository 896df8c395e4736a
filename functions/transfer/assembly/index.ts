import { CallOutcome, input, output, start } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  const amount: i64 = words.length == 3 ? I64.parseInt(words[2]) : 0;
  if (amount <= 0 || amount.toString() != words[2] || words[0] == "" || words[1] == "") {
    output("usage: <from> <to> <whole number above 0>");
    return 2;
  }
  const from = words[0];
  const to = words[1];

  // Both run at the same time. Once this call has started them, both will happen, whatever crashes.
  const withdrawal = start("account", from + " -" + amount.toString());
  const deposit = start("account", to + " " + amount.toString());
  return report(from, withdrawal.wait()) | report(to, deposit.wait());
}

function report(name: string, outcome: CallOutcome): i32 {
  output(name + " " + outcome.text + "\n");
  return outcome.ok ? 0 : 1;
}
