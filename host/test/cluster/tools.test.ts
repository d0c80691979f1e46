import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { COMPLETION_SCRIPTS, candidates, type NameKind } from "../../src/cli/completion.js";
import { knownNames } from "../../src/cli/known-names.js";
import { changedLines, lineDiff } from "../../src/cli/line-diff.js";
import { createProgram } from "../../src/cli/main.js";
import { TAR_END, tarEntry } from "../../src/cli/tar.js";

const SLUICE = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tools-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("completion", () => {
  const program = createProgram({
    out: () => {},
    err: () => {},
    bytes: () => {},
    closed: new AbortController().signal,
  });
  test.each([
    [["plugin", "ro"], ["rollback"]],
    [["sta"], ["status"]],
    [["status", "--kube"], ["--kubeconfig"]],
    [
      ["status", "-o", ""],
      ["json", "table"],
    ],
    [["status", "--name", ""], []],
    [["status", "--name", "node1", "--wa"], ["--wait"]],
    [["observe", "--verdict", "d"], ["dropped"]],
    [
      ["completion", ""],
      ["bash", "fish", "zsh"],
    ],
    [["nonsense", "--no"], []],
  ])("of %j is %j", async (words, expected) =>
    expect(await candidates(program, words, async () => [])).toEqual(expected),
  );

  const NAMES = { nodes: ["node1", "node2"], plugins: ["guard", "nat"] };
  test.each([
    [["status", "--name", ""], NAMES.nodes, {}],
    [["observe", "-n", "node1,n"], ["node1,node1", "node1,node2"], {}],
    [["plugin", "history", "g"], ["guard"], {}],
    [["plugin", "rollback", "nat", ""], NAMES.plugins, {}],
    [["plugin", "load", "a.ts", "--before", "n"], ["nat"], {}],
    [["plugin", "diff", "--context=test", "--name", "node1", ""], NAMES.plugins, { context: "test", name: "node1" }],
    [["plugin", "load", ""], [], undefined],
    [["status", "--kubeconfig", ""], [], undefined],
  ])("of %j has the names %j", async (words, expected, given) => {
    const asked: unknown[] = [];
    const lookUp = async (kind: NameKind, options: object) => {
      asked.push(options);
      return NAMES[kind];
    };
    expect(await candidates(program, words, lookUp)).toEqual(expected);
    expect(asked).toEqual(given === undefined ? [] : [given]);
  });

  test("of names is none, in little time, where the cluster does not answer", async () => {
    // Takes connections, and says nothing.
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const kubeconfig = join(folder, "kubeconfig");
    const { port } = server.address() as AddressInfo;
    writeFileSync(kubeconfig, kubeconfigText(`https://127.0.0.1:${port}`));
    const begun = performance.now();
    for (const kind of ["nodes", "plugins"] as const) {
      expect(await knownNames(kind, { kubeconfig: "/nowhere" })).toEqual([]);
      expect(await knownNames(kind, { kubeconfig })).toEqual([]);
    }
    const waited = performance.now() - begun;
    expect(waited).toBeGreaterThan(2 * 1900);
    expect(waited).toBeLessThan(15_000);
    server.close();
  });

  test("works in bash: Tab completes commands and values", () => {
    writeFileSync(join(folder, "sluice"), `#!/bin/sh\nexec ${process.execPath} ${SLUICE} "$@"\n`);
    chmodSync(join(folder, "sluice"), 0o755);
    writeFileSync(join(folder, "completion.bash"), COMPLETION_SCRIPTS.bash);
    const tab = (...words: string[]) =>
      `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _sluice; echo "\${COMPREPLY[*]}"`;
    const script = [
      `source ${folder}/completion.bash`,
      tab("sluice", "plugin", "ro"),
      tab("sluice", "observe", "--verdict", ""),
      "complete -p sluice",
    ].join("\n");
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], {
      encoding: "utf8",
      env: { PATH: `${folder}:${process.env.PATH}` },
    });
    expect(stderr).toBe("");
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      "rollback",
      "dropped forwarded",
      "complete -o default -F _sluice sluice",
    ]);
  }, 180_000);
});

describe("an archive", () => {
  test("is one that tar reads, with long paths and empty files", () => {
    const long = `dump/${"n".repeat(90)}/${"p".repeat(90)}.log`;
    const files = [
      { path: "dump/a.txt", content: Buffer.from("hello\n"), at: 1_700_000_000_000 },
      { path: long, content: Buffer.alloc(0), at: 0 },
      { path: "dump/blocks", content: Buffer.alloc(1024, 7), at: 0 },
    ];
    const file = join(folder, "a.tar");
    writeFileSync(file, Buffer.concat([...files.map(tarEntry), TAR_END]));
    expect(execFileSync("tar", ["-tf", file], { encoding: "utf8" }).trim().split("\n")).toEqual(
      files.map(({ path }) => path),
    );
    expect(execFileSync("tar", ["-xOf", file, "dump/a.txt"], { encoding: "utf8" })).toBe("hello\n");
    expect(execFileSync("tar", ["-xOf", file, "dump/blocks"])).toEqual(Buffer.alloc(1024, 7));
  });

  test("takes no path that is too long", () => {
    expect(() => tarEntry({ path: "x".repeat(300), content: Buffer.alloc(0), at: 0 })).toThrow(/too long/);
  });
});

describe("a difference of lines", () => {
  test.each([
    ["abc", "abc", " a b c"],
    ["abc", "axc", " a-b+x c"],
    ["", "ab", "+a+b"],
    ["ab", "", "-a-b"],
    ["abcabba", "cbabac", "-a-b c+b a b-b a+c"],
  ])("between %j and %j is the shortest", (before, after, expected) => {
    expect(lineDiff([...before], [...after]).join("")).toBe(expected);
  });

  test("leaves out what is far from any", () => {
    const lines = Array.from({ length: 20 }, (_, at) => String(at));
    const changed = changedLines(lineDiff(lines, lines.with(10, "x")));
    expect(changed).toEqual([" 7", " 8", " 9", "-10", "+x", " 11", " 12", " 13", "..."]);
    expect(changedLines(lineDiff(lines, lines))).toEqual([]);
  });
});

const kubeconfigText = (server: string) =>
  JSON.stringify({
    clusters: [{ name: "silent", cluster: { server, "insecure-skip-tls-verify": true } }],
    contexts: [{ name: "silent", context: { cluster: "silent", user: "me" } }],
    users: [{ name: "me", user: {} }],
    "current-context": "silent",
  });
