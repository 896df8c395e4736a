import { input, logbook, output } from "../../../guest-sdk/assembly";

const PAGE_RECORDS = 10;

export function main(): i32 {
  const words = input().split(" ");
  const feed = words.length > 1 ? words[1] : "";
  if (words[0] == "add" && words.length > 2) {
    output(logbook.append(feed, words.slice(2).join(" ")).seqnum.toString());
    return 0;
  }
  if (words[0] == "page" && feed != "" && words.length < 4) {
    const from = words.length == 3 ? I64.parseInt(words[2]) : 0;
    if (from >= 0 && (words.length == 2 || from.toString() == words[2])) return page(feed, from);
  }
  output("usage: add <feed> <text> | page <feed> [<from>]");
  return 2;
}

/** Entries from seqnum `from` on, and in the last line where the next page begins. */
function page(feed: string, from: i64): i32 {
  for (let i = 0; i < PAGE_RECORDS; ) {
    const read = logbook.next(feed, from);
    const entry = read.record;
    if (read.isTrimmed) {
      from = read.goneUpTo + 1;
    } else if (entry === null) {
      break;
    } else {
      output(entry.seqnum.toString() + " " + entry.text + "\n");
      from = entry.seqnum + 1;
      i++;
    }
  }
  output("next " + from.toString() + "\n");
  return 0;
}
