import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildPlugin, type Json } from "@sluice/sdk/build";
import { loadPlugin } from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../support/dataplane.js";
import { type Block, blocksOf, fileOf, infoOf, isConfig, isKnown, isStage, pages, Reader } from "../support/docs.js";

// Nothing that the documentation shows is left unchecked, unless it says so itself.

/** Pages whose blocks another test holds against what they show. */
const elsewhere: Record<string, string> = {
  "host/CLI.md": "host/test/cli.test.ts",
  "README.md": "test/e2e/readme.test.ts",
  "docs/guide.md": "test/e2e/guide.test.ts",
};
/** Of docs/troubleshooting.md: `npm run docs` writes the second of each pair. */
const inPairs = { "ts error": "a wrong source", "text error": "what the build says to it" };
const all = pages();
const here = all.filter((page) => !(page in elsewhere));
const place = (block: Block) => `${block.page}:${block.line}`;

test.each(Object.entries(elsewhere))("%s is checked by %s", (page, by) => {
  expect(readFileSync(join(root, by), "utf8")).toContain(page.split("/").at(-1));
});

describe("every block says what is to be done with it:", () => {
  const blocks = all.filter((page) => page !== "host/CLI.md").flatMap(blocksOf);
  test.each(blocks.map((block) => [place(block), block] as const))("%s", (_place, block) => {
    expect(
      isKnown(block) || infoOf(block) in inPairs,
      `\`\`\`${infoOf(block)} is none of those in test/support/docs.ts`,
    ).toBe(true);
  });
});

describe("a stage that is shown builds:", () => {
  const stages = all.flatMap(blocksOf).filter(isStage);
  test.each(stages.map((block) => [place(block), block] as const))(
    "%s",
    async (_place, block) => {
      expect((await buildPlugin({ source: block.text })).warnings).toEqual([]);
    },
    60_000,
  );
});

describe("a configuration that is shown is one of the plugin's:", () => {
  const configs = all.flatMap(blocksOf).filter(isConfig);
  test.each(configs.map((block) => [place(block), block] as const))(
    "%s",
    async (_place, block) => {
      const { config } = parse(block.text) as { config: Json };
      await loadPlugin(join(root, dirname(block.page), "assembly/index.ts"), { config });
    },
    60_000,
  );
});

const isStep = (block: Block): boolean => fileOf(block) !== undefined || infoOf(block) === "sh";
const followed = here.filter((page) => blocksOf(page).some(isStep));

describe("followed from top to bottom, a page works:", () => {
  test.each(followed)(
    "%s",
    (page) => {
      const [group, example] = page.split("/");
      const reader = new Reader({ sdk: true, ...(group === "examples" && example ? { copy: dirname(page) } : {}) });
      try {
        for (const step of blocksOf(page).filter(isStep)) reader.follow(step);
      } finally {
        reader.end();
      }
    },
    180_000,
  );
});

test("commands for a node are in the guide only, whose test has one", () => {
  const others = here.flatMap(blocksOf).filter((block) => infoOf(block) === "sh node");
  expect(others.map(place)).toEqual([]);
});

test("code is fenced, so that it says what is to be done with it", () => {
  const indented = all.filter((page) => /^(?:[^|\n-].*)?\n\n {4}\S/m.test(withoutBlocks(page)));
  expect(indented).toEqual([]);
});

test("npm scripts that are named exist", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
  const lines = all.flatMap(blocksOf).filter((block) => infoOf(block) === "sh manual");
  const named = lines.flatMap(({ text }) => [...text.matchAll(/^npm run (\S+)/gm)].map((match) => match[1]));
  for (const script of named) expect(Object.keys(scripts)).toContain(script);
});

describe("links lead somewhere:", () => {
  test.each(all)("%s", (page) => {
    const links = [...withoutBlocks(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
    const broken = links.filter((link) => !link.startsWith("http") && !leadsSomewhere(page, link));
    expect(broken).toEqual([]);
  });
});

function withoutBlocks(page: string): string {
  return readFileSync(join(root, page), "utf8").replace(/^```.*?^```$/gms, "");
}

/** A file, and a heading in it where the link names one. */
function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", heading] = link.split("#");
  const target = path === "" ? join(root, page) : join(root, dirname(page), path);
  if (!existsSync(target)) return false;
  if (heading === undefined) return true;
  const headings = [...readFileSync(target, "utf8").matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1] ?? ""));
  return headings.includes(heading);
}

/** As GitHub makes it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
