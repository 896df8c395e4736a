/** Names of C++ types, as far as they are plain names: the mangling of the Itanium C++ ABI, §5.1. */

const BUILT_IN: Readonly<Record<string, string>> = {
  b: "bool",
  c: "char",
  i: "int",
  j: "unsigned int",
  l: "long",
  m: "unsigned long",
  x: "long long",
  y: "unsigned long long",
  f: "float",
  d: "double",
  PKc: "char const*",
  Pc: "char*",
};
const PART = /^(\d+)/;

/** "St13runtime_error" is std::runtime_error. What is more than a name, as a template is, stays as it is. */
export function typeName(mangled: string): string {
  const builtIn = BUILT_IN[mangled];
  if (builtIn !== undefined) {
    return builtIn;
  }
  const isNested = mangled.startsWith("N") && mangled.endsWith("E");
  let rest = isNested ? mangled.slice(1, -1) : mangled;
  const names: string[] = [];
  if (rest.startsWith("St")) {
    names.push("std");
    rest = rest.slice(2);
  }
  while (rest !== "") {
    const [digits = ""] = PART.exec(rest) ?? [];
    const length = Number(digits);
    if (length === 0 || digits.length + length > rest.length) {
      return mangled;
    }
    names.push(rest.slice(digits.length, digits.length + length));
    rest = rest.slice(digits.length + length);
  }
  // libc++ and others have an inline namespace of their version.
  return names.length === 0 ? mangled : names.filter((name) => name !== "__1" && name !== "__2").join("::");
}
