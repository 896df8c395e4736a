import {
  Condition,
  MAX_SEQNUM,
  call,
  fail,
  fence,
  http,
  input,
  inputBytes,
  Isolation,
  lock,
  log,
  logbook,
  now,
  objects,
  output,
  outputBytes,
  post,
  random,
  randomBytes,
  select,
  sleep,
  spawn,
  start,
  startBound,
  storage,
  sync,
  toBytes,
  toText,
  transaction,
  tryLock,
  unlock,
} from "../../../../guest-sdk/assembly";

let found: i64 = 0;
let tries: i32 = 0;

/** What may not be asked for. */
function mistake(which: string): void {
  const bytes = toBytes("text");
  if (which == "key") objects.get("k".repeat(1025));
  if (which == "offset") objects.read("x", -1, bytes);
  if (which == "lock") tryLock("a\nb");
  if (which == "isolation") transaction.run(<Isolation>3, () => {});
  if (which == "value") objects.putBytes("x", new Uint8Array(4000000));
  if (which == "long") logbook.append("t".repeat(257), "");
  if (which == "empty") logbook.tail("");
  if (which == "control") logbook.next("a\nb", 0);
  if (which == "half") logbook.next("a\ud800", 0);
  if (which == "tags") logbook.appendIf(new Array<string>(17).fill("a"), bytes, []);
  if (which == "no tags") logbook.appendIf([], bytes, []);
  if (which == "twice") logbook.appendIf(["a", "b", "a"], bytes, []);
  if (which == "low") logbook.appendIf(["a", "b"], bytes, [Condition.last("b", 1), Condition.length("a", -1)]);
  if (which == "high") logbook.appendIf(["a"], bytes, [Condition.last("b", MAX_SEQNUM + 1)]);
  if (which == "of none") logbook.appendIf(["a"], bytes, [Condition.last("", 1)]);
  if (which == "conditions") logbook.appendIf(["a"], bytes, new Array<Condition>(17).fill(Condition.last("b", 1)));
  if (which == "large") logbook.post("feed", "x".repeat(262145));
  if (which == "prev") logbook.prev("feed", -1);
  if (which == "next") logbook.awaitNext("feed", i64.MIN_VALUE, 0);
  if (which == "trim") logbook.trim("feed", -1);
  if (which == "trim all") logbook.trimAll(i64.MAX_VALUE);
}

/** Uses all of the SDK, one line of output per thing. */
export function main(): i32 {
  if (input() == "child") {
    output("x".repeat(10000));
    return 3;
  }
  if (input() == "fail") fail("größer als 😀");
  if (input() == "unlock") unlock("never");
  if (input() == "commit") transaction.commit();
  if (input().startsWith("wrong ")) mistake(input().slice(6));
  line("input", toText(inputBytes()));
  log("a line");
  trace("traced", 2, 1, 2.5);

  line("absent", objects.get("a") === null ? "null" : "found");
  objects.put("a", "äöü");
  line("get", objects.get("a")!);
  line("size", objects.size("a").toString());
  objects.putBytes("large", new Uint8Array(3000000).fill(7));
  const large = objects.getBytes("large")!;
  line("large", large.length.toString() + " " + large[0].toString() + " " + large[2999999].toString());
  const piece = new Uint8Array(10);
  line("piece", objects.read("large", 2999995, piece).toString() + " " + objects.read("large", 3000000, piece).toString());
  objects.remove("large");
  line("exists", objects.exists("large").toString());
  for (let i = 0; i < 600; i++) objects.put("many/" + i.toString() + "/" + "k".repeat(50), "");
  line("list", objects.list("many/").length.toString() + " " + objects.list("none").length.toString());
  line("update", objects.update("n", (old) => (old === null ? "1" : old + "1")) + objects.update("n", (old) => old! + "1"));

  const outcome = call("everything", "child");
  line("call", outcome.returnValue.toString() + " " + outcome.text.length.toString() + " " + outcome.ok.toString());
  const first = start("everything", "child");
  const second = start("everything", "child");
  line("both", (second.wait().bytes.length + first.wait().bytes.length).toString());
  const bound = startBound("everything", "child");
  const third = start("everything", "child");
  const chosen = select([bound, third]);
  line("select", (chosen == 0 || chosen == 1).toString());
  line("cancel", bound.cancel().toString() + " " + bound.wait().text + " " + bound.cancel().toString());
  line("third", third.wait().bytes.length.toString());
  line("spawn", spawn("everything", "now") + " " + spawn("everything", "later", 5));
  post("everything", "posted", 6);
  sleep(1234);

  line(
    "part",
    storage
      .run("a", () => {
        found = objects.size("a");
        return 5;
      })
      .toString() +
      " " +
      found.toString(),
  );

  const added = logbook.append("feed", "one").seqnum;
  logbook.post("feed", "two");
  const lost = logbook.appendIf(["feed", "other"], toBytes("lost"), [Condition.length("other", 0), Condition.last("feed", added)]);
  line("append", added.toString() + " " + lost.ok.toString() + " " + lost.tag + " " + lost.winner()!.text);
  line("large record", logbook.append("feed", "x".repeat(10000)).ok.toString() + " " + logbook.prev("feed", MAX_SEQNUM).record!.text.length.toString());
  line("next", logbook.next("feed", 0).record!.text + " " + logbook.next("feed", added + 1).record!.text);
  line("await", (logbook.awaitNext("feed", added + 10, 5).record === null).toString());
  logbook.trim("feed", added);
  const below = logbook.next("feed", 0);
  line("trim", below.isTrimmed.toString() + " " + below.goneUpTo.toString() + " " + (logbook.next("none", 0).record === null).toString());
  line("close", logbook.close("feed", "end").ok.toString() + " " + logbook.append("feed", "late").winner()!.closes.toString());
  const end = logbook.tail("feed");
  line("tail", end.length.toString() + " " + (end.last - added).toString() + " " + end.closed.toString());
  logbook.trimAll(end.last);
  line("gone", logbook.prev("feed", MAX_SEQNUM).goneUpTo.toString() + " " + logbook.appendIf(["f"], toBytes(""), [Condition.length("f", 2)]).length.toString());
  const version = objects.getVersion("n");
  const set = objects.compareAndSet("n", version, "9");
  line("set", version.text! + " " + set.toString() + " " + objects.compareAndSet("n", version, "8").toString());
  sync();
  fence();
  transaction.run(Isolation.Serializable, () => {
    tries++;
    objects.put("in", "once");
    transaction.run(Isolation.Snapshot, () => objects.put("inner", "once"));
  });
  line("run", tries.toString() + " " + objects.get("in")! + " " + objects.get("inner")!);
  transaction.begin(Isolation.ReadAtomic);
  objects.put("in", "twice");
  transaction.abort();
  transaction.begin(Isolation.Snapshot);
  line("refused", transaction.commit().toString() + " " + transaction.conflict() + " " + objects.get("in")!);
  const token = lock("l");
  line("lock", (token > 0).toString() + " " + (lock("l") > 0).toString() + " " + tryLock("taken").toString());
  unlock("l");
  unlock("l");

  const got = http.request("PUT", "http://there/x", ["X-A: b", "X-C: d"], new Uint8Array(3).fill(65));
  line("http", got.status.toString() + " " + got.ok.toString() + " " + got.bytes.length.toString() + " " + got.header("x-LONG")!);
  const none = http.requestOnce("POST", "http://nowhere/", [], new Uint8Array(0));
  line("no answer", none.status.toString() + " " + none.error + " " + none.message);
  line("posted", http.post("http://there/", "é").text + http.get("http://there/").text);

  const time = now();
  line("clock", (now() > time).toString() + " " + (Date.now() >= 1000).toString());
  const drawn = random();
  line("random", (drawn >= 0 && drawn < 1 && drawn != random()).toString() + " " + randomBytes(16).length.toString());
  line("seeded", (Math.random() < 1).toString());
  outputBytes(toBytes("end"));
  return 0;
}

function line(name: string, text: string): void {
  output(name + ": " + text + "\n");
}
