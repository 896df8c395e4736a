// One layer of the call tree. Input: "<layer> <program>"; what programs look like is said in ../program.ts. Calls go to "layer-<layer + 1>".
import { http, input, Isolation, objects, output, post, random, sleep, start, StartedCall, transaction } from "../../../guest-sdk/assembly";

let amount: i64 = 0;
let from: string = "";
let to: string = "";

export function main(): i32 {
  const program = new Program(input());
  const next = program.number() + 1;
  while (!program.isOver) {
    run(program, <i32>next);
  }
  output("done");
  return 0;
}

function run(program: Program, next: i32): void {
  const operation = program.word();
  if (operation == "increment") {
    const key = "counter/" + program.word();
    amount = program.number();
    objects.update(key, (old) => (numberOf(old) + amount).toString());
  } else if (operation == "set") {
    objects.put("scratch/" + program.word(), program.word());
  } else if (operation == "get") {
    objects.get("scratch/" + program.word());
  } else if (operation == "clear") {
    objects.remove("scratch/" + program.word());
  } else if (operation == "wait") {
    sleep(program.number());
  } else if (operation == "ask") {
    const url = program.word();
    // One key for all tries: a request that failed may have been carried out for another attempt at this call.
    const key = "Idempotency-Key: " + random().toString();
    while (!http.request("POST", url, [key], new Uint8Array(0)).ok) {}
  } else if (operation == "call") {
    const calls = new Array<StartedCall>(<i32>program.number());
    for (let i = 0; i < calls.length; i++) {
      calls[i] = start("layer-" + next.toString(), next.toString() + " " + program.text());
    }
    // A call that failed is no reason to stop: what it did before stays.
    for (let i = 0; i < calls.length; i++) {
      calls[i].wait();
    }
  } else if (operation == "spawn") {
    const delayMs = program.number();
    post("layer-" + next.toString(), next.toString() + " " + program.text(), delayMs);
  } else if (operation == "move") {
    from = "counter/" + program.word();
    to = "counter/" + program.word();
    amount = program.number();
    transaction.run(Isolation.Serializable, () => {
      objects.put(from, (valueOf(from) - amount).toString());
      objects.put(to, (valueOf(to) + amount).toString());
    });
  } else if (operation == "fail") {
    throw new Error("as the program says");
  } else {
    throw new Error("unknown operation " + operation);
  }
}

function valueOf(key: string): i64 {
  return numberOf(objects.get(key));
}

function numberOf(text: string | null): i64 {
  return text === null ? <i64>0 : I64.parseInt(text);
}

/** Reads a program from its beginning to its end. */
class Program {
  private at: i32 = 0;

  constructor(private readonly source: string) {}

  get isOver(): bool {
    return this.at >= this.source.length;
  }

  word(): string {
    const end = this.source.indexOf(" ", this.at);
    const word = this.source.substring(this.at, end);
    this.at = end + 1;
    return word;
  }

  number(): i64 {
    return I64.parseInt(this.word());
  }

  text(): string {
    const length = <i32>this.number();
    const text = this.source.substring(this.at, this.at + length);
    this.at += length;
    return text;
  }
}
