import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { docText, symbolText } from "../../docs/generate/markdown.js";
import { Sources } from "../../docs/generate/source.js";
import { type Documented, describe as describeSymbol } from "../../docs/generate/symbols.js";

// How the reference reads a source.

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sluice-symbols-"));
  mkdirSync(join(root, "lib"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** The exports of lib/index.ts, and the places without a docstring. */
function read(files: Record<string, string>): { symbols: Documented[]; missing: string[] } {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, "lib", name), text);
  const missing: string[] = [];
  const sources = new Sources(root);
  const exported = sources.exportsOf(join(root, "lib/index.ts"));
  return { symbols: exported.map((each) => describeSymbol(each, sources, missing)), missing };
}
const only = (text: string): Documented => read({ "index.ts": text }).symbols[0] as Documented;

describe("AssemblyScript", () => {
  test("a decorated function, its docstring before the decorator", () => {
    const symbol = only(
      `/** The time. */\n// @ts-ignore: decorator\n@inline export function now(): u64 { return 0; }\n`,
    );
    expect(symbol).toMatchObject({ kind: "function", signature: "function now(): u64", doc: "The time." });
  });

  test("a pair of accessors is one member; one alone says so", () => {
    const symbol = only(`/** A view. */
@unmanaged
export class View {
  /** Both. */
  @inline get both(): u32 { return 0; }
  @inline set both(value: u32) {}
  /** Read. */
  get read(): bool { return true; }
  /** Write. */
  set write(value: u64) {}
}\n`);
    const signatures = symbol.sections[0]?.members.map((member) => member.signature);
    expect(signatures).toEqual(["both: u32", "readonly read: bool", "set write: u64"]);
  });

  test("comments that stand alone are headings; private members are not told of", () => {
    const symbol = only(`/** A view. */
export class View {
  private hidden: u32;

  // What it is. Until it ends.

  /** First. */
  first(): void {}

  // What becomes of it.

  /** Second. */
  second<T>(at: u32): T { return at; }
}\n`);
    expect(symbol.sections).toEqual([
      { title: "What it is", text: "Until it ends.", members: [{ signature: "first(): void", doc: "First." }] },
      { title: "What becomes of it", members: [{ signature: "second<T>(at: u32): T", doc: "Second." }] },
    ]);
  });

  test("what a class has from its base", () => {
    const { symbols } = read({
      "index.ts": `import { Base } from "./base";\n/** A view. */\nexport class View extends Base {\n  /** Own. */\n  own(): void {}\n}\n`,
      "base.ts": "export class Base {\n  /** The base's. */\n  of(): void {}\n}\n",
    });
    const members = symbols[0]?.sections.flatMap((section) => section.members.map(({ signature }) => signature));
    expect(members).toEqual(["of(): void", "own(): void"]);
  });

  test("a namespace's constants with what is said behind them", () => {
    const symbol = only(`/** Numbers. */
export namespace Verdict {
  // @ts-ignore: decorator
  @inline export const PASS: i32 = 0;  // Goes on
}\n`);
    expect(symbol).toMatchObject({
      kind: "constants",
      sections: [{ members: [{ signature: "PASS = 0", doc: "Goes on" }] }],
    });
  });
});

describe("TypeScript", () => {
  test("exports of other files, by either way of naming them", () => {
    const { symbols } = read({
      "index.ts": `export { one } from "./one";\nexport { type Two } from "./two.js";\n`,
      "one.ts": "/** One. */\nexport const one = (a: number, b = 2): number => a + b;\n",
      "two.ts": "/** Two. */\nexport interface Two {\n  /** Its name. */\n  name?: string;\n}\n",
    });
    expect(symbols.map(({ signature }) => signature)).toEqual([
      "function one(a: number, b = 2): number",
      "interface Two",
    ]);
    expect(symbols[1]?.sections[0]?.members).toEqual([{ signature: "name?: string", doc: "Its name." }]);
  });
});

describe("what has no docstring is told of with its place:", () => {
  test.each([
    ["a function", "\nexport function now(): u64 { return 0; }\n", "lib/index.ts:2: now"],
    ["a method", "/** A. */\nexport class A {\n  run(): void {}\n}\n", "lib/index.ts:3: A.run"],
    [
      "an accessor",
      "/** A. */\nexport class A {\n  @inline get run(): bool { return true; }\n}\n",
      "lib/index.ts:3: A.run",
    ],
    ["a type", "// A remark is none.\nexport type A = number;\n", "lib/index.ts:2: A"],
  ])("%s", (_what, text, place) => {
    expect(read({ "index.ts": text }).missing).toEqual([place]);
  });
});

test("indented lines of a docstring are code", () => {
  expect(docText("Says:\n\n  a();\n  b();\n\nThen more.")).toBe(
    "Says:\n\n```ts fragment\na();\nb();\n```\n\nThen more.",
  );
});

test("bars in a table's cell are no borders", () => {
  const members = [{ signature: "a: b | c", doc: "One.\nTwo." }];
  const symbol: Documented = {
    name: "A",
    kind: "interface",
    signature: "interface A",
    doc: "A.",
    sections: [{ title: "", members }],
  };
  expect(symbolText(symbol)).toContain("| `a: b \\| c` | One. Two. |");
});
