import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { plugin, testFolder } from "./support.js";

const { path, write } = testFolder();
const json = (name: string) => JSON.parse(readFileSync(path(name), "utf8"));

describe("a new folder", () => {
  test("has what a plugin needs, under its name", async () => {
    const { code, out, err } = await plugin("new", "my-filter", "--dir", path("my-filter"));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("next: cd ");
    const files = readdirSync(path("my-filter"), { recursive: true }).sort();
    expect(files).toEqual([
      ".gitignore",
      "README.md",
      "assembly",
      "assembly/index.ts",
      "assembly/tsconfig.json",
      "config.json",
      "package.json",
      "test",
      "test/index.test.ts",
      "tsconfig.json",
    ]);
    expect(json("my-filter/package.json")).toMatchObject({
      name: "my-filter",
      type: "module",
      scripts: { test: "sluice-plugin test" },
    });
    expect(readFileSync(path("my-filter/README.md"), "utf8")).toContain("# my-filter");
    for (const file of files.filter((each) => /\.\w+$/.test(String(each)))) {
      expect(readFileSync(path(`my-filter/${file}`), "utf8")).not.toContain("{{");
    }
  });

  test("depends on the SDK that made it, or on the one that is named", async () => {
    const sdk = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    const wanted = async (name: string, ...args: string[]) => {
      await plugin("new", name, "--dir", path(name), ...args);
      return json(`${name}/package.json`).devDependencies;
    };
    expect(await wanted("of-registry")).toEqual({ "@sluice/sdk": sdk.version, vitest: sdk.peerDependencies.vitest });
    expect(await wanted("of-range", "--sdk", "^0.1.0")).toMatchObject({ "@sluice/sdk": "^0.1.0" });
    expect(await wanted("of-file", "--sdk", path("sluice-sdk-0.1.0.tgz"))).toMatchObject({
      "@sluice/sdk": "file:../sluice-sdk-0.1.0.tgz",
    });
  });

  test("may be there, if it is empty", async () => {
    await mkdir(path("empty"));
    expect((await plugin("new", "in-empty", "--dir", path("empty"))).code).toBe(0);
  });

  test.each(["filter", "rewrite", "stateful", "observer"])(
    "%s is a template that the help describes",
    async (template) => {
      const { out } = await plugin("new", "--help");
      expect(out).toMatch(new RegExp(`^  ${template} +[A-Z].*\\.$`, "m"));
      expect((await plugin("new", `a-${template}`, "--dir", path(`a-${template}`), "--template", template)).code).toBe(
        0,
      );
      expect(existsSync(path(`a-${template}/assembly/index.ts`))).toBe(true);
    },
  );
});

test("the filter has at most 30 lines", () => {
  const text = readFileSync(new URL("../../templates/filter/assembly/index.ts", import.meta.url), "utf8");
  expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(30);
});

describe("is refused", () => {
  test.each([
    ["My Filter", "my-filter"],
    ["rate_limit", "rate-limit"],
    ["3com", "com"],
    ["trailing-", "trailing"],
    ["../elsewhere", "elsewhere"],
    ["***", "my-function"],
    [`x${"y".repeat(80)}`, `x${"y".repeat(63)}`],
  ])("with the name %s; %s would do", async (name, proposal) => {
    const { code, out, err } = await plugin("new", name, "--dir", path("refused"));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      `error: "${name}" is no name of a plugin. Lower-case words joined by - are, such as ${proposal} [name]`,
    );
    expect(existsSync(path("refused"))).toBe(false);
    expect((await plugin("new", proposal, "--dir", path(`proposal-${proposal}`))).code).toBe(0);
  });

  test("where something is already", async () => {
    const mine = await write("mine/notes.txt", "mine");
    const { code, err } = await plugin("new", "my-filter", "--dir", path("mine"));
    expect(code).toBe(1);
    expect(err).toContain(
      "mine: is there already, with files in it. Give another name, or a folder with --dir [folder]",
    );
    expect(readdirSync(path("mine"))).toEqual(["notes.txt"]);
    expect((await plugin("new", "my-filter", "--dir", mine)).err).toContain("not a directory");
  });

  test("from an unknown template", async () => {
    const { code, err } = await plugin("new", "my-filter", "--dir", path("refused"), "--template", "router");
    expect(code).toBe(2);
    expect(err).toContain("Allowed choices are filter, rewrite, stateful, observer.");
  });
});
