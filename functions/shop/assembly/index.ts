import { call, json, objects } from "../../../guest-sdk/assembly";

class Item {
  name: string;
  price: f64;
  count: u32;
}

class Order {
  customer: string;
  items: Array<Item>;
  /** May be left out. */
  note: string | null;
}

class Receipt {
  number: i64;
  customer: string;
  total: f64;
  lines: Array<string>;
  note: string | null;
}

export function add(a: i32, b: i32): i32 {
  return a + b;
}

export function greet(name: string): string {
  return "Hello, " + name + "!";
}

export function total(items: Array<Item>): f64 {
  let sum: f64 = 0;
  for (let i = 0; i < items.length; i++) sum += items[i].price * <f64>items[i].count;
  return sum;
}

/** Gives the order the next number. Whatever crashes, none is given twice or left out. */
export function order(order: Order): Receipt {
  if (order.items.length == 0) throw new Error("an order has at least one item");
  const number = objects.update("orders/last", (last) => (last === null ? "1" : (I64.parseInt(last) + 1).toString()));
  const lines = order.items.map<string>((item) => item.count.toString() + " x " + item.name);
  objects.put("orders/" + number, order.customer + ": " + lines.join(", "));
  return { number: I64.parseInt(number), customer: order.customer, total: total(order.items), lines, note: order.note };
}

/** Calls an entry point of a function: the input and the output are JSON. */
export function greetings(names: Array<string>): Array<string> {
  return names.map<string>((name) => {
    const outcome = call("shop/greet", "[" + json.quote(name) + "]");
    if (!outcome.ok) throw new Error(outcome.text);
    return json.unquote(outcome.text);
  });
}
