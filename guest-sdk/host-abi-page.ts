/** The reference page docs/reference/host-abi.md, made from abi.json. `npm run docs` writes it. */
import abi from "./abi.json" with { type: "json" };

type Import = (typeof abi.imports)[number];

/** What holds for all imports of a module. */
const notes: ReadonlyMap<string, string> = new Map(Object.entries(abi.modules));

export function hostAbiPage(): string {
  const modules = [...new Set(abi.imports.map(({ module }) => module))];
  return `${[HEAD, abi.about, MODULE_RULES, index(), classes(), errors(), ...modules.map(section)].join("\n\n")}\n`;
}

const HEAD = `<!-- Made from guest-sdk/abi.json by \`npm run docs\`. Change that file, not this page. -->
# Host ABI

What a WebAssembly module may import, whatever language it was written in. AssemblyScript functions use the modules of
[guest-sdk](../../guest-sdk/README.md) instead, which call these imports.`;

const MODULE_RULES = `A module

- imports functions of this page only, with exactly these types;
- has one memory of its own, at most one table, no threads, no 64-bit memory or table, no relaxed SIMD;
- exports \`main\`, \`() → i32\` or \`()\`, or \`_start\`, \`()\`. What \`main\` returns is the call's return value, 0 for success;
- is started once, at its upload, where it may import nothing yet; every call begins with the memory and globals of that moment;
- does not change its table or drop segments (\`table.set\`, \`table.grow\`, \`data.drop\` and their like are refused);
- has no export whose name begins with \`$\`.`;

function index(): string {
  const rows = abi.imports.map(
    (one) =>
      `| ${one.answers === undefined ? `[${code(nameOf(one))}](#${anchor(one)})` : code(nameOf(one))} | ${one.class} | ${one.suspends ? "may wait" : ""} |`,
  );
  return ["## All imports", "", "| import | class | |", "|---|---|---|", ...rows].join("\n");
}

function classes(): string {
  const rows = Object.entries(abi.classes).map(([name, meaning]) => `| *${name}* | ${meaning} |`);
  return ["## Classes", "", "| class | meaning |", "|---|---|", ...rows].join("\n");
}

function errors(): string {
  const rows = Object.entries(abi.errors).map(([number, meaning]) => `| ${number} | ${meaning} |`);
  return ["## Codes", "", "Imports answer these instead of a result.", "", "| code | meaning |", "|---|---|", ...rows].join("\n");
}

function section(module: string): string {
  const imports = abi.imports.filter((one) => one.module === module);
  const tabled = imports.filter((one) => one.answers !== undefined);
  const entries = imports.filter((one) => one.answers === undefined).map(entry);
  const note = notes.get(module);
  return [
    `## Module ${code(module)}`,
    ...(note === undefined ? [] : [note]),
    ...entries,
    ...(tabled.length === 0 ? [] : [table(tabled), refused(module)]),
  ].join("\n\n");
}

function table(imports: readonly Import[]): string {
  const rows = imports.map((one) =>
    ["", code(one.name), code(typeOf(one)), one.summary, one.answers, testLink(one.test), ""].join(" | ").trim(),
  );
  return ["| import | type | what it does | supported, or the error | test |", "|---|---|---|---|---|", ...rows].join("\n");
}

function refused(module: string): string {
  const rows = abi.refused.map(({ names, reason }) => `| ${names.map(code).join(", ")} | ${reason} |`);
  return [
    `These of module ${code(module)}, where ${code("*")} stands for any ending, and all that are not listed above, are refused at the upload by their names.`,
    "",
    "| import | why |",
    "|---|---|",
    ...rows,
  ].join("\n");
}

function testLink(test = ""): string {
  return `[${test.split("/").at(-1)?.replace(".test.ts", "")}](../../${test})`;
}

function entry(one: Import): string {
  const facts = [code(typeOf(one)), one.class, ...(one.suspends ? ["may wait"] : [])];
  const codes = one.errors.length === 0 ? [] : [`codes ${one.errors.join(", ")}`];
  return [`### ${nameOf(one)}`, [...facts, ...codes].join(" · "), one.summary].join("\n\n");
}

function typeOf({ params, results }: Import): string {
  return results.length === 0 ? `(${params.join(", ")})` : `(${params.join(", ")}) → ${results.join(", ")}`;
}

function nameOf({ module, name }: Import): string {
  return `${module}.${name}`;
}

/** As the usual Markdown viewers make it of a heading. */
function anchor(one: Import): string {
  return nameOf(one)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "");
}

function code(text: string): string {
  return `\`${text}\``;
}
