import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createProgram, EXIT, main } from "../src/cli/main.js";
import { bytes, count, duration, type Io, TABLE_WIDTH, table } from "../src/cli/output.js";
import { outcomesText, pluginsText, statusText } from "../src/cli/tables.js";
import { digest, FULL_STATUS } from "./helpers.js";
import { SAMPLES } from "./samples.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cli-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const SILENT: Io = { out: () => {}, err: () => {}, bytes: () => {}, closed: new AbortController().signal };

/** Runs a command line in this process. */
async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(args, { ...SILENT, out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

/** The program and each command below it, with the words that call it. */
function commands(command: Command, words: string[] = []): { words: string[]; command: Command }[] {
  const below = command.commands.flatMap((child) => commands(child, [...words, child.name()]));
  return [{ words, command }, ...below];
}

const block = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;

/** What a command prints, where there is a sample of it. */
function sampleOf(command: string): string {
  const [line, text] = SAMPLES[command] ?? [];
  return line === undefined ? "" : `\nIt prints, for example:\n\n${block(`$ sluice ${line}\n${text}`)}`;
}

const COMMANDS = commands(createProgram(SILENT));

describe("help", () => {
  test("of all commands is what CLI.md says", async () => {
    const parts = await Promise.all(
      COMMANDS.map(async ({ words }) => {
        const { code, out } = await sluice(...words, "--help");
        expect(code).toBe(EXIT.ok);
        const name = ["sluice", ...words].join(" ");
        return `## ${name}\n\n${block(out.trimEnd())}${sampleOf(words.join(" "))}`;
      }),
    );
    const intro =
      "# The sluice command\n\nThe help texts of all commands; a test holds them against this page.\n\nExit codes: 0 done, 1 refused or failed (one line an error: `error: code path: message`), 2 wrong usage.\n";
    await expect([intro, ...parts].join("\n")).toMatchFileSnapshot(
      fileURLToPath(new URL("../CLI.md", import.meta.url)),
    );
  });

  test.each(COMMANDS)("of $words has an example and fits the screen", async ({ words }) => {
    const { out } = await sluice(...words, "--help");
    expect(out).toContain("\nExample:\n  $ sluice ");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_WIDTH);
  });

  test.each(COMMANDS.filter(({ command }) => command.commands.length === 0))(
    "of $words offers -o json",
    ({ command }) => {
      expect(command.options.map(({ short }) => short)).toContain("-o");
    },
  );
});

/** Command line, exit code, what stderr begins with. Nothing runs here, and nothing is written to stdout. */
const WRONG: [string[], number, string][] = [
  [["statu"], EXIT.usage, "error: unknown command 'statu'\n(Did you mean status?)"],
  [["status", "--sokcet", "x"], EXIT.usage, "error: unknown option '--sokcet'\n(Did you mean --socket?)"],
  [
    ["status", "-o", "yaml"],
    EXIT.usage,
    "error: option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are table, json.",
  ],
  [["run"], EXIT.usage, "error: required option '-f, --file <node.yaml>' not specified"],
  [
    ["status", "--timeout", "soon"],
    EXIT.usage,
    "error: option '--timeout <time>' argument 'soon' is invalid. Found \"soon\"; allowed: a time such as 500ms, 10s, 2m or 1h, up to 24 days.",
  ],
  [
    ["top", "--interval", "0"],
    EXIT.usage,
    "error: option '--interval <time>' argument '0' is invalid. Found \"0\"; allowed: a time such as 500ms,",
  ],
  [["trace", "-c", "0"], EXIT.usage, "error: option '-c, --count <n>' argument '0' is invalid. Found \"0\";"],
  [
    ["pcap", "--snap-length", "1GiB"],
    EXIT.usage,
    "error: option '--snap-length <size>' argument '1GiB' is invalid. Found \"1GiB\"; allowed: 14 to 65535 bytes, such as 96, 2KiB or 1MiB.",
  ],
  [["drops", "-c", "3"], EXIT.usage, "error: --interval and --count: allowed: with --watch"],
  [["pcap", "-w", "-", "-o", "json"], EXIT.usage, "error: -w - and -o json: allowed: one of them"],
  [
    ["flows", "--address", "10.0.0"],
    EXIT.usage,
    "error: option '--address <ip>' argument '10.0.0' is invalid. Found \"10.0.0\"; allowed: an IPv4 or IPv6 address.",
  ],
  [
    ["flows", "--port", "65536"],
    EXIT.usage,
    "error: option '--port <n>' argument '65536' is invalid. Found \"65536\"; allowed: a port, 0 to 65535.",
  ],
  [
    ["flows", "--protocol", "tpc"],
    EXIT.usage,
    "error: option '--protocol <name>' argument 'tpc' is invalid. Found \"tpc\"; allowed: icmp, tcp, udp, icmpv6, sctp, or 0 to 255.",
  ],
  ...["trace", "drops", "flows", "top", "pcap"].map((command): [string[], number, string] => [
    [command, "--socket", "/nowhere/s.sock"],
    EXIT.failed,
    "error: not-running /nowhere/s.sock: no dataplane answers there;",
  ]),
  [["status", "--kubeconfig", "/nowhere"], EXIT.failed, "error: kubeconfig /nowhere: no such file or directory"],
  [["status", "--socket", "s", "--context", "c"], EXIT.usage, "error: --socket and --context: allowed: one of them"],
  [
    ["observe", "--from-pod", "a/b/c"],
    EXIT.usage,
    "error: option '--from-pod <name>' argument 'a/b/c' is invalid. Found \"a/b/c\"; allowed: NAME, NAMESPACE/NAME or NAMESPACE/, with * for any characters.",
  ],
  [["observe", "--drop-reason", "policy", "--verdict", "forwarded"], EXIT.usage, "error: --drop-reason and --verdict"],
  [["observe", "tcp"], EXIT.usage, "error: a filter: allowed: with --follow"],
  [
    ["connectivity", "test", "--outside", "example.com"],
    EXIT.usage,
    "error: option '--outside <target>' argument 'example.com' is invalid. Found \"example.com\"; allowed: HOST:PORT,",
  ],
  [["completion", "tcsh"], EXIT.usage, "error: command-argument value 'tcsh' is invalid for argument 'shell'."],
  [["relay", "--socket", "/nowhere/s.sock"], EXIT.failed, "error: not-running /nowhere/s.sock: no dataplane answers"],
  [["agent", "--node", "a"], EXIT.usage, "error: --etcd or --etcd-service is needed: where Sluice's etcd is"],
  [
    ["reflector", "--etcd", "http://a:1", "--etcd-service", "kube-system/etcd"],
    EXIT.usage,
    "error: --etcd and --etcd-service: allowed: one of them",
  ],
  [
    ["reflector", "--etcd", "https://a:1", "--etcd-key", "tls.key"],
    EXIT.usage,
    "error: --etcd-cert, --etcd-key and --etcd-server-name: allowed: with --etcd-ca",
  ],
  [
    ["agent", "--node", "a", "--etcd-service", "etcd"],
    EXIT.usage,
    "error: option '--etcd-service <namespace/name>' argument 'etcd' is invalid. Found \"etcd\"; allowed: a namespace and a name, such as kube-system/sluice.",
  ],
  [
    ["node-install", "--daemonset", "Kube/Sluice"],
    EXIT.usage,
    "error: option '--daemonset <namespace/name>' argument 'Kube/Sluice' is invalid. Found \"Kube/Sluice\";",
  ],
  [
    ["node-install", "--conflist", "/nowhere/a.conflist"],
    EXIT.failed,
    "error: unreadable-file /nowhere/a.conflist: no such file or directory",
  ],
  [
    ["node-install", "--conflist", "package.json"],
    EXIT.failed,
    "error: conflist package.json: expected a CNI configuration list:",
  ],
  [["pki", "--secret", "a/b", "--service", "a/b"], EXIT.usage, "error: required option '--out <folder>' not specified"],
  [
    ["pki", "--secret", "a/b", "--service", "a/b", "--out", "/nowhere", "--days", "5000"],
    EXIT.usage,
    "error: --days 5000: allowed: up to 3000",
  ],
  [
    ["pki", "--secret", "a/b", "--service", "a/b", "--out", "/nowhere", "--address", "10.0.0.1,::1,etcd-0"],
    EXIT.usage,
    "error: option '--address <addresses>' argument '10.0.0.1,::1,etcd-0' is invalid. Found \"etcd-0\"; allowed: IPv4 and IPv6 addresses.",
  ],
  [["plugin", "swap"], EXIT.usage, "error: missing required argument 'name=file'"],
  [
    ["plugin", "swap", "=x"],
    EXIT.usage,
    "error: command-argument value '=x' is invalid for argument 'name=file'. Found \"=x\"; allowed: NAME=FILE or NAME.",
  ],
  [
    ["plugin", "swap", "a", "--shadow", "packet=5"],
    EXIT.usage,
    "error: option '--shadow <limits>' argument 'packet=5' is invalid. Found \"packet=5\"; allowed: packets=NUMBER, max-differences=NUMBER, seconds=NUMBER, with commas between.",
  ],
  [["plugin", "swap", "a", "b", "--config", "x.yaml"], EXIT.usage, "error: --config x.yaml: allowed: a=FILE, b=FILE"],
  [
    ["plugin", "rollback", "a", "--to", "0"],
    EXIT.usage,
    "error: option '--to <revision>' argument '0' is invalid. Found \"0\"; allowed: a whole number from 1.",
  ],
  [
    ["run", "-f", "/nowhere/node.yaml"],
    EXIT.failed,
    "error: unreadable-file /nowhere/node.yaml: no such file or directory",
  ],
  [
    ["status", "--socket", "/nowhere/s.sock"],
    EXIT.failed,
    "error: not-running /nowhere/s.sock: no dataplane answers there; start one with sluice run, or name its socket with --socket",
  ],
  [["plugin", "load", "/nowhere/p.ts"], EXIT.failed, "error: unreadable-file /nowhere/p.ts: no such file or directory"],
  [["plugin", "load", "p.txt"], EXIT.failed, "error: unknown-plugin-file "],
];

describe("wrong command lines end with one clear error", () => {
  test.each(WRONG)("sluice %j", async (args, code, message) => {
    const result = await sluice(...args);
    expect(result).toMatchObject({ code, out: "" });
    expect(result.err.slice(0, message.length)).toBe(message);
    expect(result.err).not.toContain("    at ");
    if (code === EXIT.failed) expect(result.err.split("\n")).toHaveLength(1);
  });
});

describe("sluice validate", () => {
  test("says what a good file has", async () => {
    const file = await write("node.yaml", "name: n\nports: [{name: a, kind: inject}]");
    expect(await sluice("validate", "-f", file)).toEqual({
      code: 0,
      out: "valid: node n, 1 ports, 0 routes, 0 plugins",
      err: "",
    });
    const { out } = await sluice("validate", "-f", file, "-o", "json");
    expect(JSON.parse(out)).toEqual({ name: "n", ports: 1, routes: 0, plugins: 0, modules: [] });
  });

  test("has a line for each mistake, and the same as JSON", async () => {
    const file = await write("node.yaml", "name: n\nworkers: x\nports: 5");
    const { code, err } = await sluice("validate", "-f", file);
    expect(code).toBe(EXIT.failed);
    expect(err.split("\n")).toEqual([
      `error: invalid-config ${file}:2:10 /workers: found "x"; allowed: a whole number from 1 to 64`,
      `error: invalid-config ${file}:3:8 /ports: found 5; allowed: a list of ports`,
    ]);
    const json = await sluice("validate", "-f", file, "-o", "json");
    expect(JSON.parse(json.err)).toMatchObject({
      errors: [{ code: "invalid-config", path: `${file}:2:10 /workers` }, {}],
    });
  });

  test("places a missing plugin and a broken module in the file", async () => {
    await write("no.wasm", "not wasm");
    const file = await write(
      "node.yaml",
      "name: n\nplugins:\n  - {name: a, source: gone.ts}\n  - {name: b, module: no.wasm}",
    );
    const { err } = await sluice("validate", "-f", file);
    expect(err.split("\n")).toEqual([
      `error: unreadable-file ${folder}/gone.ts: no such file or directory`,
      expect.stringMatching(new RegExp(`^error: module-not-wasm ${folder}/no.wasm: `)),
    ]);
  });
});

test("sluice version and schema print JSON for programs", async () => {
  expect(JSON.parse((await sluice("version", "-o", "json")).out)).toEqual({
    sluice: "0.1.0",
    node: process.versions.node,
  });
  expect(JSON.parse((await sluice("schema", "-o", "json")).out)).toMatchObject({ title: "Sluice node file" });
});

describe("tables", () => {
  test("the status of a busy node", () => {
    const text = statusText({
      name: "node-a",
      pid: 42,
      version: "0.1.0",
      native: FULL_STATUS,
      observers: 2,
      revision: "x.1",
    });
    expect(text).toMatchInlineSnapshot(`
      "node node-a  sluice 0.1.0  pid 42  up 1h 2m  generation 7
      memory 256 MiB in hugepages  buffers free 16000 of 16384, jumbo 500 of 512
      2 traces and captures are in work

      PORT                               KIND       STATE   MTU     RX  RX BYTES      TX  TX BYTES  ERRORS
      pod-1                              tap        up     1500  1.23M  1.40 GiB  999999    1023 B       3
      a-port-with-quite-a-long-name-of…  af-packet  down   9000      0       0 B       0       0 B       0

      lost port a-port-with-quite-a-long-name-of-its-own-that-fills-its-63-charact:
        interface eth1 is gone

      STAGE   VERSION  STATE        HOOKS          PACKETS  CYCLES/PKT  DROPS  FAILURES
      policy  1.2.3    active       forward,input     1000        31.1      5         0
      faulty  0.1.0    backing-off  postrouting          0           -      0         3
      faulty 0.1.0 failed last 03:04:05.678 in postrouting, worker 1:
        memory-out-of-bounds: a load outside of memory
        at assembly/index.ts:13:67 in process (from ~sdk/packet.ts:98:12)
        packet 10.0.0.1:1000 > 10.0.0.2:667 UDP

      STAGE   COUNTER         VALUE
      policy  denied_packets      5

      WORKER  CPU  RECEIVED   SENT  PKTS/BURST  CYCLES/PKT  BUSY
      0       3       2.00M  2.00M        40.0       750.0  0.0%
      1       any         0      0           -           -  0.0%

      DROPPED FOR  BY STAGE  PACKETS
      no-route     -              12
      policy       policy          5
      ttl-expired  -               3

      flows 3 of 262144: restored 2  created 100  expired 97  evicted 0  refused 0"
    `);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_WIDTH);
  });

  test("plugins with the live revision in brackets", () => {
    const revision = { version: "1.0.0", digest: digest("a"), origin: "", appliedAt: "" };
    const revisions = [1, 2].map((number) => ({ ...revision, number }));
    const plugin = {
      name: "nat",
      version: "1.0.0",
      digest: digest("a"),
      origin: "",
      hooks: ["prerouting", "postrouting"],
      failure: "Reload",
      budgetUs: 1,
      scope: [],
      revisions,
    };
    expect(pluginsText([plugin])).toMatchInlineSnapshot(`
      "PLUGIN  VERSION  DIGEST        HOOKS                   ON FAILURE  SCOPE  REVISIONS
      nat     1.0.0    aaaaaaaaaaaa  prerouting,postrouting  Reload      all    1 [2]"
    `);
    expect(pluginsText([])).toBe("no plugins");
  });

  test("what an apply did", () => {
    expect(
      outcomesText({ generation: 2, plugins: [{ name: "nat", action: "swapped", flowState: "kept" }] }),
    ).toMatchInlineSnapshot(`
      "PLUGIN  CHANGE   FLOW STATE
      nat     swapped  kept
      applied: generation 2"
    `);
  });

  test("too wide a cell is cut, never a number", () => {
    const lines = table([{ title: "A" }, { title: "B", right: true }], [["x".repeat(200), "123456789"]]).split("\n");
    expect(lines[1]).toHaveLength(TABLE_WIDTH);
    expect(lines[1]).toMatch(/x… {2}123456789$/);
  });

  test.each([
    [0, "0"],
    [999_999, "999999"],
    [1_234_567, "1.23M"],
    [45_678_000_000, "45.7G"],
  ])("count %d is %s", (value, text) => expect(count(value)).toBe(text));
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.50 KiB"],
    [1_500_000_000, "1.40 GiB"],
  ])("bytes %d are %s", (value, text) => expect(bytes(value)).toBe(text));
  test.each([
    [0, "0s"],
    [59_999, "59s"],
    [61_000, "1m 1s"],
    [90_061_000, "1d 1h"],
  ])("duration %d ms is %s", (value, text) => expect(duration(value)).toBe(text));
});
