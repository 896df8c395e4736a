import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../../..");

interface Link {
  readonly from: string;
  readonly target: string;
}

/** What is no part of the project's text: other people's packages, what builds and runs leave behind, code blocks. */
const EXCLUDED = ["**/node_modules/**", "data/**"];
const CODE = /^```[\s\S]*?^```|`[^`\n]*`/gm;

const pages = globSync("**/*.md", { cwd: ROOT, exclude: EXCLUDED }).sort();

function linksOf(page: string): Link[] {
  const text = readFileSync(join(ROOT, page), "utf8").replace(CODE, "");
  return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => ({ from: page, target }));
}

/** The anchors of a page, as the usual viewers make them: lower case, no punctuation, hyphens for spaces. */
function anchorsOf(path: string): Set<string> {
  const text = readFileSync(path, "utf8").replace(/^```[\s\S]*?^```/gm, "");
  const headings = Array.from(text.matchAll(/^#{1,6} (.+)$/gm), ([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function isBroken({ from, target }: Link): boolean {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? join(ROOT, from) : resolve(ROOT, dirname(from), file);
  return !existsSync(path) || (anchor !== undefined && !anchorsOf(path).has(anchor));
}

const links = pages.flatMap(linksOf);
const isRelative = ({ target }: Link) => !/^[a-z]+:/.test(target);

describe("the project's pages", () => {
  it("are found, with their links", () => {
    expect(pages).toContain("README.md");
    expect(links.filter(isRelative).length).toBeGreaterThan(50);
  });

  it("have no relative link that leads nowhere, nor to a heading that is not there", () => {
    expect(links.filter(isRelative).filter(isBroken)).toEqual([]);
  });

  it("link to nothing outside the checkout", () => {
    const outside = links.filter(isRelative).filter(({ from, target }) => {
      return relative(ROOT, resolve(ROOT, dirname(from), target)).startsWith("..");
    });
    expect(outside).toEqual([]);
  });

  it("are reached from README.md, each of docs/", () => {
    const reached = new Set(["README.md"]);
    for (const page of reached) {
      for (const { target } of linksOf(page).filter(isRelative)) {
        const path = relative(ROOT, resolve(ROOT, dirname(page), target.split("#")[0] ?? ""));
        if (path.endsWith(".md") && pages.includes(path)) {
          reached.add(path);
        }
      }
    }
    expect(pages.filter((page) => page.startsWith("docs/") && !reached.has(page))).toEqual([]);
  });
});
