/** The reference page docs/reference/host-abi.md, made from abi.json. `npm run docs` writes it. */
import abi from "./abi.json" with { type: "json" };

type Import = (typeof abi.imports)[number];

/** The module of which some imports are refused with a reason. */
const REFUSING = "env";

/** What holds for all imports of a module. */
const notes: ReadonlyMap<string, string> = new Map(Object.entries(abi.modules));

export function hostAbiPage(): string {
  const modules = [...new Set(abi.imports.map(({ module }) => module))];
  return `${[HEAD, abi.about, MODULE_RULES, TESTS, classes(), errors(), ...modules.map(section)].join("\n\n")}\n`;
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

const TESTS = `In an import that *may wait* the guest may be suspended. The test of a row calls the import with right arguments, with those at the
edge of what is right, and with wrong ones; what those of WASI do with right ones is tested [beside theirs](../../test/unit/host/abi/wasi). Besides, all
that block no thread get [random arguments](../../test/unit/host/abi/hostile-arguments.test.ts), and those of modules \`neap\` and \`region\`
[ranges](../../test/unit/host/abi/ranges.test.ts) that end with the memory, and one byte behind it.`;

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
  const note = notes.get(module);
  return [
    `## Module ${code(module)}`,
    ...(note === undefined ? [] : [note]),
    table(imports),
    ...(module === REFUSING ? [refused()] : []),
  ].join("\n\n");
}

function table(imports: readonly Import[]): string {
  const rows = imports.map((one) =>
    ["", code(one.name), kindOf(one), one.summary, answersOf(one), testLink(one.test), ""].join(" | ").trim(),
  );
  return ["| import | type, class | what it does | supported, or the error | test |", "|---|---|---|---|---|", ...rows].join(
    "\n",
  );
}

function refused(): string {
  const rows = abi.refused.map(({ names, reason }) => `| ${names.map(code).join(", ")} | ${reason} |`);
  return [
    `These of module ${code(REFUSING)}, where ${code("*")} stands for any ending, and all that are not listed above, are refused at the upload by their names ([test](../../test/unit/host/abi/faasm/interface.test.ts)).`,
    "",
    "| import | why |",
    "|---|---|",
    ...rows,
  ].join("\n");
}

function testLink(test: string): string {
  return `[${test.split("/").at(-1)?.replace(".test.ts", "")}](../../${test})`;
}

function kindOf(one: Import): string {
  return [code(typeOf(one)), one.class, ...(one.suspends ? ["may wait"] : [])].join("<br>");
}

function answersOf({ answers, errors }: Import): string {
  return answers ?? (errors.length === 0 ? "supported" : `supported; ${errors.join(", ")}`);
}

function typeOf({ params, results }: Import): string {
  return results.length === 0 ? `(${params.join(", ")})` : `(${params.join(", ")}) → ${results.join(", ")}`;
}

function code(text: string): string {
  return `\`${text}\``;
}
