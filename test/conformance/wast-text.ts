/**
 * Scripts in the text format (.wast), turned into what `wast2json` would make of them. Takes what the scripts here use: modules as text
 * or bytes, register, invoke, get, and the assertions of `script.ts`.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { wat } from "../support/guest-modules.ts";
import type { Action, Command, Script, Value } from "./script.ts";

/** A list, an atom or a string, with where it lies in the text. */
interface Node {
  readonly start: number;
  readonly end: number;
  readonly list?: readonly Node[];
  readonly atom?: string;
  readonly bytes?: Buffer;
}

const TOKEN = /\s+|;;[^\n]*|\(;[\s\S]*?;\)|[()]|"(?:[^"\\]|\\.)*"|[^\s()";]+/gy;

export function readWast(path: string): Script {
  return parseWast(readFileSync(path, "utf8"), basename(path));
}

/** @throws Error with the line of what it does not understand */
export function parseWast(text: string, name: string): Script {
  const modules = new Map<string, Uint8Array<ArrayBuffer>>();
  const lineOf = (node: Node) => text.slice(0, node.start).split("\n").length;
  const commands = parse(text).flatMap((node): Command[] => {
    const line = lineOf(node);
    try {
      return [command(node, line, text, modules)];
    } catch (error) {
      throw new Error(`${name}:${line}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  });
  const module = (filename: string) => modules.get(filename) ?? fail(`no module ${filename}`);
  return { name, commands, module };
}

function command(node: Node, line: number, text: string, modules: Map<string, Uint8Array<ArrayBuffer>>): Command {
  const [head, first, ...rest] = node.list ?? fail("a command is a list");
  const keep = (module: Node): string => {
    const filename = `${modules.size}.wasm`;
    modules.set(filename, moduleBytes(module, text));
    return filename;
  };
  const type = head?.atom;
  switch (type) {
    case "module": {
      const name = first?.atom?.startsWith("$") ? { name: first.atom } : {};
      return { type, line, ...name, filename: keep(node) };
    }
    case "register": {
      const name = rest[0]?.atom;
      return { type, line, as: textOf(first), ...(name !== undefined && { name }) };
    }
    case "invoke":
    case "get":
      return { type: "action", line, action: action(node) };
    case "assert_return":
      return { type, line, action: action(first), expected: rest.map(value) };
    case "assert_trap":
      // Of a module it means that it cannot be instantiated.
      return first?.list?.[0]?.atom === "module"
        ? { type: "assert_uninstantiable", line, filename: keep(first), module_type: "binary" }
        : { type, line, action: action(first) };
    case "assert_exhaustion":
    case "assert_exception":
      return { type, line, action: action(first) };
    case "assert_invalid":
    case "assert_malformed":
    case "assert_unlinkable":
      return { type, line, filename: keep(first ?? fail("no module")), module_type: "binary" };
    default:
      return fail(`${type} is not a command that is known`);
  }
}

function action(node: Node | undefined): Action {
  const [head, ...rest] = node?.list ?? fail("an action is a list");
  const type = head?.atom === "get" ? "get" : "invoke";
  const name = rest[0]?.atom;
  const [field, ...args] = name === undefined ? rest : rest.slice(1);
  return { type, field: textOf(field), args: args.map(value), ...(name !== undefined && { module: name }) };
}

function value(node: Node): Value {
  const [head, literal] = (node.list ?? fail("a value is a list")).map(({ atom }) => atom ?? "");
  switch (head) {
    case "i32.const":
    case "i64.const":
      return { type: head.slice(0, 3), value: BigInt.asUintN(head === "i32.const" ? 32 : 64, integer(literal)).toString() };
    case "f32.const":
    case "f64.const":
      return { type: head.slice(0, 3), value: literal?.startsWith("nan:") ? literal : floatBits(head, literal ?? "") };
    case "ref.null":
      return { type: `${literal}ref`, value: "null" };
    case "ref.extern":
      return { type: "externref", ...(literal !== undefined && { value: literal }) };
    case "ref.func":
      return { type: "funcref" };
    default:
      return fail(`${head} is not a value that is known`);
  }
}

function integer(literal = ""): bigint {
  const digits = literal.replaceAll("_", "").replace(/^\+/, "");
  return digits.startsWith("-") ? -BigInt(digits.slice(1)) : BigInt(digits);
}

/** The assembler knows how floats are written. */
function floatBits(instruction: "f32.const" | "f64.const", literal: string): string {
  const [int, float] = instruction === "f32.const" ? ["i32", "f32"] : ["i64", "f64"];
  const bytes = wat(`(module (func (export "bits") (result ${int}) (${int}.reinterpret_${float} (${float}.const ${literal}))))`);
  const { bits } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  return typeof bits === "function" ? BigInt.asUintN(int === "i32" ? 32 : 64, BigInt(bits())).toString() : fail("no bits");
}

function moduleBytes(node: Node, text: string): Uint8Array<ArrayBuffer> {
  const parts = (node.list ?? []).slice(1).filter(({ atom }) => !atom?.startsWith("$"));
  if (parts[0]?.atom === "binary") {
    return Uint8Array.from(Buffer.concat(parts.flatMap(({ bytes }) => bytes ?? [])));
  }
  return wat(text.slice(node.start, node.end));
}

function parse(text: string): readonly Node[] {
  const open: { readonly start: number; readonly list: Node[] }[] = [{ start: 0, list: [] }];
  const add = (node: Node) => open.at(-1)?.list.push(node);
  let end = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (index !== end) {
      break;
    }
    end = index + token.length;
    if (token === "(") {
      open.push({ start: index, list: [] });
    } else if (token === ")") {
      const closed = open.pop() ?? fail("a parenthesis too many");
      add({ ...closed, end });
    } else if (token.startsWith('"')) {
      add({ start: index, end, bytes: unescaped(token.slice(1, -1)) });
    } else if (!/^(?:\s|;|\(;)/.test(token)) {
      add({ start: index, end, atom: token });
    }
  }
  if (end !== text.length || open.length !== 1) {
    fail(`the text cannot be read after character ${end}`);
  }
  return open[0]?.list ?? [];
}

function unescaped(text: string): Buffer {
  const parts = text.matchAll(/\\([0-9a-fA-F]{2})|\\u\{([0-9a-fA-F]+)\}|\\(.)|([^\\]+)/gs);
  const escapes: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r" };
  return Buffer.concat(
    Array.from(parts, ([, byte, point, char, plain]) => {
      if (byte !== undefined) {
        return Buffer.of(Number.parseInt(byte, 16));
      }
      return Buffer.from(
        point !== undefined ? String.fromCodePoint(Number.parseInt(point, 16)) : (plain ?? escapes[char ?? ""] ?? char ?? ""),
      );
    }),
  );
}

function textOf(node: Node | undefined): string {
  return node?.bytes?.toString() ?? fail("a string is missing");
}

function fail(text: string): never {
  throw new Error(text);
}
