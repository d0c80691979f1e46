import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { abiTables, fillTables } from "../../docs/generate/abi.js";
import { errorCodes } from "../../docs/generate/build-errors.js";
import { generated, REFERENCE } from "../../docs/generate/generated.js";
import { root } from "../support/dataplane.js";

const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("what `npm run docs` writes", () => {
  let files: Map<string, string>;
  beforeAll(async () => {
    files = await generated(root);
  }, 120_000);

  test("is what there is", () => {
    for (const [path, text] of files) expect(read(path), `${path} is stale: npm run docs`).toBe(text);
  });

  test("leaves no page behind in the reference", () => {
    const pages = readdirSync(join(root, REFERENCE)).map((name) => `${REFERENCE}/${name}`);
    expect(pages.filter((path) => !files.has(path))).toEqual([]);
  });
});

test("a page that asks for a table that there is not is refused", () => {
  expect(() => fillTables("<!-- table: none -->\n<!-- end -->", abiTables(root))).toThrow("there is no table 'none'");
});

describe("docs/troubleshooting.md", () => {
  const page = read("docs/troubleshooting.md");
  const sections = new Map([...page.matchAll(/^### `([^`]+)`\n(.*?)(?=^##|$(?![\s\S]))/gms)].map((m) => [m[1], m[2]]));

  test("tells of every error of the build", () => {
    expect([...sections.keys()]).toEqual(expect.arrayContaining(errorCodes(root)));
  });

  test("shows under each code that code", () => {
    const shown = [...sections].filter(([, text]) => text?.includes("```text error"));
    for (const [code, text] of shown) expect(text).toContain(`[${code}]`);
    expect(shown.length).toBeGreaterThan(15);
  });

  test("shows the code of a section that the build's sources don't name", () => {
    const made = [...sections].filter(([code]) => !errorCodes(root).includes(code ?? ""));
    for (const [, text] of made) expect(text).toContain("```text error");
  });
});
