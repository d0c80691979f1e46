import { existsSync, readFileSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Bench, ROOT, shapeOf } from "./support.js";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.end());

const PORTS =
  "ports:\n  - {name: a, kind: inject, addresses: [10.0.0.1/24]}\n  - {name: b, kind: inject, addresses: [10.0.1.1/24]}\n";
const COUNTER = `${ROOT}examples/tap-counter/assembly/index.ts`;
const MARKER_1 = `${ROOT}examples/dscp-marker/assembly/v1.ts`;
const MARKER_2 = `${ROOT}examples/dscp-marker/assembly/v2.ts`;

interface Plugins {
  name: string;
  version: string;
  revisions: { number: number; version: string }[];
}

/** "name version" of each plugin that is live. */
async function live(): Promise<string[]> {
  return ((await bench.json("plugin", "list")) as Plugins[]).map(({ name, version }) => `${name} ${version}`);
}

describe("sluice run", () => {
  test("runs what the file says, tells it, and stops without a trace on SIGTERM", async () => {
    const node = await bench.run("-f", bench.node(`${PORTS}plugins: [{name: counter, source: ${COUNTER}}]\n`));
    expect(statSync(bench.socket).mode & 0o777).toBe(0o600);

    const status = (await bench.json("status")) as { native: Record<string, unknown> };
    expect(status).toMatchObject({ name: "host-native", pid: node.pid, version: "0.1.0" });
    expect(status.native).toMatchObject({
      generation: 1,
      hugepages: false,
      ports: [
        { name: "a", kind: "inject", up: true, mtu: 1500 },
        { name: "b", kind: "inject", up: true },
      ],
      stages: [{ name: "counter", hooks: ["forward"], state: "active", packets: 0, failures: 0, lastFailure: "" }],
      flows: { active: 0, max: 4096 },
    });
    expect(shapeOf(status.native)).toEqual({
      generation: "number",
      uptimeMs: "number",
      switchUs: "number",
      tscHz: "number",
      hugepages: "boolean",
      memoryMb: "number",
      buffers: { packetsFree: "number", packets: "number", jumbosFree: "number", jumbos: "number" },
      workers: [shapeOfNumbers("id core received transmitted bursts busyCycles polls sleeps")],
      ports: [
        {
          name: "string",
          kind: "string",
          up: "boolean",
          lost: "string",
          canReturn: "boolean",
          mac: "string",
          ...shapeOfNumbers("id mtu rxPackets rxBytes txPackets txBytes rxErrors txErrors"),
        },
      ],
      stages: [
        {
          name: "string",
          version: "string",
          digest: "string",
          hooks: ["string"],
          state: "string",
          lastFailure: "string",
          drops: {},
          counters: shapeOfNumbers("ipv4_packets ipv6_packets bytes tcp_connections"),
          gauges: {},
          histograms: {},
          workers: [shapeOfNumbers("packets bursts cycles")],
          lastTrap: "object",
          ...shapeOfNumbers("packets bursts cycles emitted mirrored settled failures invalidOutputs"),
        },
      ],
      drops: {},
      flows: shapeOfNumbers("active max created expired evicted refused restored"),
    });
    expect((await bench.sluice("status")).out).toContain("STAGE    VERSION");

    const { code, out, err } = await node.stop("SIGTERM");
    expect({ code, out }).toEqual({ code: 0, out: `ready: node host-native on ${bench.socket}\n` });
    expect(
      err
        .split("\n")
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { msg: string }).msg),
    ).toContain("stopped");
    expect(existsSync(bench.socket)).toBe(false);
  });

  test("is refused while one of the same name runs, which goes on", async () => {
    const file = bench.node(PORTS);
    const node = await bench.run("-f", file);
    const second = await bench.command("run", "-f", file, "--socket", bench.socket);
    expect(second).toEqual({
      code: 1,
      out: "",
      err: `error: already-running ${bench.socket}: a dataplane of this name answers there; stop it first, or choose another name\n`,
    });
    expect(await bench.json("status")).toMatchObject({ pid: node.pid });
  });

  test("starts again after kill -9", async () => {
    const file = bench.node(PORTS);
    await (await bench.run("-f", file)).stop("SIGKILL");
    expect(existsSync(bench.socket)).toBe(true);
    const node = await bench.run("-f", file);
    expect(await bench.json("status")).toMatchObject({ pid: node.pid });
  });

  test("with --resume has the plugins that the last run ended with", async () => {
    const file = bench.node(PORTS);
    const first = await bench.run("-f", file);
    await bench.json("plugin", "load", MARKER_1);
    await bench.json("plugin", "swap", `dscp-marker=${MARKER_2}`);
    await first.stop("SIGTERM");
    await bench.run("-f", file, "--resume");
    expect(await live()).toEqual(["dscp-marker 2.0.0"]);
    await bench.json("plugin", "rollback", "dscp-marker");
    expect(await live()).toEqual(["dscp-marker 1.0.0"]);
  });

  test("that can't start says why in one line and leaves nothing", async () => {
    const file = bench.node("ports: [{name: a, kind: af-packet, device: no-such-if}]\n");
    const { code, out, err } = await bench.command("run", "-f", file, "--socket", bench.socket);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    const lines = err.split("\n").filter((line) => line.startsWith("error: "));
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^error: [a-z-]+ ${file}:\\d+:\\d+ /ports/0`))]);
    expect(err).not.toContain("    at ");
    expect(existsSync(bench.socket)).toBe(false);
  });
});

describe("sluice apply", () => {
  test("changes ports, routes and plugins in one transaction", async () => {
    await bench.run("-f", bench.node(PORTS));
    const file = bench.node(
      `${PORTS}  - {name: c, kind: inject}\nroutes: [{prefix: 10.9.0.0/16, nextHops: [{port: b}]}]\nplugins: [{name: counter, source: ${COUNTER}}]\n`,
    );
    expect(await bench.json("apply", "-f", file)).toEqual({
      generation: 2,
      revision: expect.any(String),
      plugins: [{ name: "counter", action: "added", flowState: "none" }],
    });
    const { native } = (await bench.json("status")) as { native: { ports: { name: string }[] } };
    expect(native.ports.map(({ name }) => name).sort()).toEqual(["a", "b", "c"]);
  });

  /** What is wrong, what the file has then, the error. Of each, nothing is applied. */
  const REFUSED: [string, string, string, RegExp][] = [
    [
      "a port that can't be opened",
      "  - {name: c, kind: af-packet, device: no-such-if}\n",
      "",
      /^error: [a-z-]+ \S+node\.yaml:\d+:\d+ \/ports\/2/,
    ],
    [
      "a setting of the start",
      "",
      "workers: 2\n",
      /^error: restart-required \S+node\.yaml:2:10 \/workers: found 2; the running dataplane was started with 1, /,
    ],
    ["a broken module", "plugins: [{name: x, module: broken.wasm}]\n", "", /^error: module-not-wasm \S+broken\.wasm: /],
    [
      "a stage that does not compile",
      "plugins: [{name: x, source: broken.ts}]\n",
      "",
      /^error: plugin-build-failed \S*broken\.ts:\d+:\d+: /,
    ],
    [
      "a configuration for a plugin that takes none",
      `plugins: [{name: counter, source: ${COUNTER}, config: {a: 1}}]\n`,
      "",
      /^error: invalid-plugin-config \S+node\.yaml:\d+:\d+ \/plugins\/0\/config: found {"a":1}; allowed: nothing/,
    ],
  ];

  test.each(REFUSED)("with %s changes nothing", async (_, more, settings, message) => {
    await bench.run("-f", bench.node(PORTS));
    bench.write("broken.wasm", "nothing of the kind");
    bench.write(
      "broken.ts",
      'import { Batch } from "@sluice/sdk";\n@hook("forward")\nexport function process(batch: Batch): void { nope(); }\n',
    );
    const state = readFileSync(bench.path("state/state.json"), "utf8");
    const { code, out, err } = await bench.sluice("apply", "-f", bench.node(PORTS + more, settings));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(message);
    expect(await bench.json("status")).toMatchObject({
      native: { generation: 1, ports: [{ name: "a" }, { name: "b" }], stages: [] },
    });
    expect(readFileSync(bench.path("state/state.json"), "utf8")).toBe(state);
  });
});

describe("sluice plugin", () => {
  test("loads, swaps, rolls back and unloads", async () => {
    await bench.run("-f", bench.node(PORTS));
    expect(await bench.json("plugin", "load", MARKER_1, "--as", "marker", "--failure", "FailOpen")).toMatchObject({
      plugins: [{ name: "marker", action: "added", flowState: "none" }],
    });
    expect(await bench.json("plugin", "swap", `marker=${MARKER_2}`)).toMatchObject({
      plugins: [{ name: "marker", action: "swapped", flowState: "kept" }],
    });
    expect(await bench.json("plugin", "list")).toMatchObject([
      {
        name: "marker",
        version: "2.0.0",
        failure: "FailOpen",
        hooks: ["forward"],
        revisions: [
          { number: 1, version: "1.0.0" },
          { number: 2, version: "2.0.0" },
        ],
      },
    ]);
    await bench.json("plugin", "rollback", "marker");
    expect(await live()).toEqual(["marker 1.0.0"]);
    expect((await bench.sluice("plugin", "rollback", "marker")).err).toBe(
      "error: no-such-revision /plugins/marker: nothing to roll back to; the plugin has no earlier version\n",
    );
    await bench.json("plugin", "unload", "marker");
    expect(await live()).toEqual([]);
  });

  test("swaps several as one: when one is refused, none is swapped", async () => {
    await bench.run(
      "-f",
      bench.node(`${PORTS}plugins: [{name: marker, source: ${MARKER_1}}, {name: counter, source: ${COUNTER}}]\n`),
    );
    const config = bench.write("config.yaml", "a: 1");
    const { code, err } = await bench.sluice(
      "plugin",
      "swap",
      `marker=${MARKER_2}`,
      "counter",
      "--config",
      `counter=${config}`,
    );
    expect(code).toBe(1);
    expect(err).toMatch(/^error: invalid-plugin-config \/plugins\/counter\/config: found {"a":1}; allowed: nothing/);
    expect(await live()).toEqual(["marker 1.0.0", "counter 1.0.0"]);
    expect(await bench.json("status")).toMatchObject({ native: { generation: 1 } });
  });

  test("swaps only after a shadow run that saw packets", async () => {
    await bench.run("-f", bench.node(`${PORTS}plugins: [{name: marker, source: ${MARKER_1}}]\n`));
    const { code, err } = await bench.sluice(
      "plugin",
      "swap",
      `marker=${MARKER_2}`,
      "--shadow",
      "packets=10,seconds=1",
    );
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/^error: shadow-refused \/plugins\/marker: 0 packets: /),
    });
    expect(await live()).toEqual(["marker 1.0.0"]);
  });
});

function shapeOfNumbers(keys: string): Record<string, string> {
  return Object.fromEntries(keys.split(" ").map((key) => [key, "number"]));
}
