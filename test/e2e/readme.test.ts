import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { must } from "../support/process.js";
import { type Node, oneNode } from "../support/topology.js";

// What the README tells its reader to type must work, in the order that it has.
const readme = readFileSync(`${root}/README.md`, "utf8");
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map((match) => match[1] ?? "");
const commands = blocks("sh").flatMap((block) =>
  block
    .split("\n")
    .map((line) => line.replace(/\s*#.*$/, "").trim())
    .filter(Boolean),
);
const sluiceCommands = commands.filter((line) => line.startsWith("sluice "));

const cleanup = new Cleanup();
let node: Node;

beforeAll(async () => {
  node = await oneNode(cleanup, 2);
  const [stage = ""] = blocks("ts");
  writeFileSync(`${node.dataplane.folder}/no-telnet.ts`, stage);
  writeFileSync(`${node.dataplane.folder}/newer.ts`, stage.replace("1.0.0", "1.1.0"));
});

afterAll(() => cleanup.close());

test("its npm commands are scripts of package.json", () => {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { scripts: Record<string, string> };
  const named = commands.filter((line) => line.startsWith("npm ")).map((line) => /^npm (?:run )?(\S+)/.exec(line)?.[1]);
  expect(named.length).toBeGreaterThan(1);
  for (const script of named) expect(Object.keys(scripts)).toContain(script);
});

test("it shows the commands of a node's life", () => {
  expect(sluiceCommands.map((line) => line.split(" ").slice(1, 3).join(" "))).toEqual([
    ...["validate -f", "run -f", "apply -f", "status", "plugin load", "plugin swap", "plugin rollback"],
  ]);
});

test.each(sluiceCommands.filter((line) => !line.startsWith("sluice run")))("%s", async (line) => {
  const [, ...args] = line.split(" ");
  const connection = args[0] === "validate" ? [] : ["--socket", node.dataplane.socket];
  await must([process.execPath, `${root}/host/bin/sluice.js`, ...args, ...connection], {
    cwd: node.dataplane.folder,
    timeoutMs: 60_000,
  });
});

test("the files that it links to are there", () => {
  for (const [, link = ""] of readme.matchAll(/\]\(([^)#]+)\)/g)) {
    if (!link.startsWith("http")) expect(() => readFileSync(`${root}/${link}`)).not.toThrow();
  }
});
