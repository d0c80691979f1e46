import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pluginSpecSchema } from "../../host/src/config/schema.js";
import { DataplaneClient } from "../../host/src/dataplane/client.js";
import { digestOf } from "../../host/src/plugins/builder.js";
import { Cleanup } from "../support/cleanup.js";
import { machineDifferences, machineState } from "../support/machine.js";
import { assembleStage } from "../support/modules.js";
import { removeNamespace } from "../support/namespace.js";
import { exampleSource, policyPlugin } from "../support/plugins.js";
import { eventually, must, run } from "../support/process.js";
import { type Node, oneNode, type Pod, temporaryFolder } from "../support/topology.js";
import { exchangeUdp, PingFlow, ping, sendUdp } from "../support/traffic.js";

// What is done again and again, and what runs out. `npm run attack` does it in full, a test run a few times.
const full = process.env.SLUICE_ATTACK === "full";
const KILLS = full ? 100 : 3;
const SWAPS = full ? 10_000 : 100;
/** Swaps until caches and pools, and V8's heap, have their size: they grow for about 250. */
const WARM_UP = 300;
const MINUTE = 60_000;
const CALL_MS = 30_000;

let cleanup: Cleanup;

beforeEach(() => {
  cleanup = new Cleanup();
});

afterEach(() => cleanup.close());

const podsOf = (node: Node) => node.pods as [Pod, Pod];

function clientOf(node: Node): DataplaneClient {
  const client = new DataplaneClient(node.dataplane.socket);
  cleanup.defer("client", () => client.close());
  return client;
}

describe("a dataplane that is killed again and again under traffic", () => {
  test(
    `${KILLS} times: leaves nothing behind, and comes back as it was`,
    async () => {
      const node = await oneNode(cleanup, 2, (file) => {
        file.plugins = [policyPlugin("allow", [])];
      });
      const [client, server] = podsOf(node);
      const traffic = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
      const looks = async () => {
        const { native } = await node.dataplane.status();
        return {
          ports: native.ports.map(({ name, id, mac, up }) => ({ name, id, mac, up })),
          stages: native.stages.map(({ name, digest, state }) => ({ name, digest, state })),
          addresses: withoutState(await client.namespace.ip("-br", "address")),
          routes: await client.namespace.ip("route"),
          files: readdirSync(node.dataplane.folder).sort(),
        };
      };
      await ping(client.namespace, server.v4);
      const before = await looks();
      const machine = await machineState();
      for (let i = 0; i < KILLS; i++) {
        await node.dataplane.stop("SIGKILL");
        await node.dataplane.start(node.file);
      }
      expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
      expect(await looks()).toEqual(before);
      expect(machineDifferences(machine, await machineState())).toEqual([]);
      await traffic.stop();
    },
    MINUTE + KILLS * 8_000,
  );
});

/** A TAP that lost its dataplane once says UP instead of UNKNOWN. */
function withoutState(links: string): string {
  return links.replaceAll(/ (UNKNOWN|UP) +/g, " ");
}

describe("a pod's namespace that is deleted under traffic", () => {
  test("takes no other port with it, and its port can be removed", async () => {
    const node = await oneNode(cleanup, 3);
    const [client, server] = podsOf(node);
    const gone = node.pods[2] as Pod;
    const others = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    new PingFlow(cleanup, gone.namespace, server.v4, { interval: 0.02 });
    await sleep(200);
    await removeNamespace(gone.namespace.name);
    await sendUdp(client.namespace, gone.v4, 9);
    const without = structuredClone(node.file);
    without.ports = without.ports.filter(({ name }) => name !== "pod3");
    without.routes = without.routes.filter(({ nextHops }) => !nextHops?.some((hop) => hop.port === "pod3"));
    await node.dataplane.apply(without);
    expect((await others.stop()).lost).toBe(0);
    expect(await ping(client.namespace, server.v6)).toMatchObject({ lost: 0 });
  });

  describe.each([
    { kind: "tap", restarted: false, title: "a TAP's" },
    { kind: "tap", restarted: true, title: "that of a TAP which a restarted dataplane took over" },
    { kind: "veth", restarted: false, title: "a veth pair's" },
  ] as const)("$title", ({ kind, restarted }) => {
    let node: Node;
    let client: Pod, lost: Pod;

    const portOf = async (name: string) =>
      (await node.dataplane.status()).native.ports.find((port) => port.name === name);

    beforeEach(async () => {
      node = await oneNode(cleanup, 2, (file) => {
        for (const port of file.ports) if (port.name.startsWith("pod")) Object.assign(port, { kind });
      });
      [client, lost] = podsOf(node);
      if (restarted) {
        await node.dataplane.stop("SIGKILL");
        await node.dataplane.start(node.file);
      }
      expect(await ping(client.namespace, lost.v4)).toMatchObject({ lost: 0 });
    });

    test("ends while its port is open: the port is down and says why, and packets to it are dropped for that", async () => {
      // One end of a pair ends with the namespace of the other one.
      const witness = `w${process.pid}`;
      await must(["ip", "link", "add", witness, "type", "veth", "peer", "name", "w", "netns", lost.namespace.name]);
      await removeNamespace(lost.namespace.name);
      await eventually("the namespace's end", 5000, async () =>
        (await run(["ip", "link", "show", witness])).status === 0 ? undefined : true,
      );
      const port = await eventually("the port's end", 5000, async () => {
        const now = await portOf("pod2");
        return now?.up === false ? now : undefined;
      });
      expect(port.lost).toBe(`network namespace ${lost.namespace.path} is gone`);
      const { polls } = await quietSecond(node);
      expect(polls, "workers sleep").toBeLessThan(20_000);
      const before = (await node.dataplane.status()).native.drops["port-down"] ?? 0;
      await sendUdp(client.namespace, lost.v4, 9);
      await eventually("the drop", 5000, async () =>
        ((await node.dataplane.status()).native.drops["port-down"] ?? 0) > before ? true : undefined,
      );
      expect(node.dataplane.log()).toContain("lost a port");
    });

    test("that is made again has its port again, with nothing else done", async () => {
      const flow = new PingFlow(cleanup, client.namespace, lost.v4, { interval: 0.05 });
      await removeNamespace(lost.namespace.name);
      await must(["ip", "netns", "add", lost.namespace.name]);
      await eventually("the interface", 10_000, async () =>
        (await lost.namespace.run(["ip", "link", "show", "eth0"])).status === 0 ? true : undefined,
      );
      expect(await ping(lost.namespace, client.v6)).toMatchObject({ lost: 0 });
      expect(await ping(client.namespace, lost.v4)).toMatchObject({ lost: 0 });
      expect(await portOf("pod2")).toMatchObject({ up: true, lost: "" });
      expect((await flow.stop()).received).toBeGreaterThan(0);
    });

    test("that is made again before a state is applied has its port with that state", async () => {
      await removeNamespace(lost.namespace.name);
      await must(["ip", "netns", "add", lost.namespace.name]);
      await node.dataplane.apply(node.file);
      expect(await ping(lost.namespace, client.v4)).toMatchObject({ lost: 0 });
      expect(await ping(client.namespace, lost.v6)).toMatchObject({ lost: 0 });
    });
  });

  test("that is made again with another interface of the name has its port once that is gone", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, lost] = podsOf(node);
    await removeNamespace(lost.namespace.name);
    await must(["ip", "netns", "add", lost.namespace.name]);
    await lost.namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other");
    const changed = structuredClone(node.file);
    changed.routes = changed.routes.filter(({ prefix }) => !prefix.startsWith(`${client.v4}/`));
    await node.dataplane.apply(changed); // which is no reason to refuse what can be had
    const port = async () => (await node.dataplane.status()).native.ports.find(({ name }) => name === "pod2");
    expect(await port()).toMatchObject({
      up: false,
      lost: expect.stringContaining("interface of another kind has it"),
    });
    await lost.namespace.ip("link", "delete", "eth0");
    await eventually("the port", 30_000, async () => ((await port())?.up === true ? true : undefined));
    expect(await ping(lost.namespace, client.v6)).toMatchObject({ lost: 0 });
  });

  test("does not keep other changes of the node from being made", async () => {
    const node = await oneNode(cleanup, 3);
    const [client, server] = podsOf(node);
    await removeNamespace((node.pods[2] as Pod).namespace.name);
    const changed = structuredClone(node.file);
    changed.routes = changed.routes.filter(({ prefix }) => !prefix.startsWith(`${server.v4}/`));
    await node.dataplane.apply(changed);
    expect(await ping(client.namespace, server.v4, { count: 1 })).toMatchObject({ lost: 1 });
    expect(await ping(client.namespace, server.v6)).toMatchObject({ lost: 0 });
  });
});

describe("an interface that is deleted in its namespace", () => {
  test("is made again", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    await server.namespace.ip("link", "delete", "eth0");
    await eventually("an answer", 10_000, async () =>
      (await ping(client.namespace, server.v4, { count: 1 })).lost === 0 ? true : undefined,
    );
  });
});

describe("a full disk under the module cache", () => {
  test("is told in the log, and stages run all the same", async () => {
    const cache = temporaryFolder(cleanup);
    await must(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", cache]);
    cleanup.defer("full disk", async () => {
      await must(["umount", cache]);
    });
    const node = await oneNode(cleanup, 2, (file) => {
      file.cacheDir = cache;
    });
    const [client, server] = podsOf(node);
    await node.dataplane.must("plugin", "load", exampleSource("tap-counter/assembly/index.ts"));
    expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
    await eventually("the warning", 10_000, () =>
      /module cache.*No space left/.test(node.dataplane.log()) ? true : undefined,
    );
  });
});

describe("swaps without end", () => {
  test(
    `${SWAPS} of them make neither memory nor descriptors grow, and lose no packet`,
    async () => {
      const folder = temporaryFolder(cleanup);
      const node = await oneNode(cleanup, 2);
      const [client, server] = podsOf(node);
      const rpc = clientOf(node);
      const versions = await Promise.all(
        ["1.0.0", "2.0.0"].map(async (version) => {
          const wasm = await assembleStage(folder, {}, { name: "swapped", version });
          return { digest: digestOf(wasm), wasm };
        }),
      );
      const [first] = versions as [(typeof versions)[number]];
      const spec = pluginSpecSchema.parse({ name: "swapped", digest: first.digest, origin: "swapped.wasm" });
      await rpc.call(
        "changePlugins",
        { changes: [{ load: { pluginJson: JSON.stringify(spec) } }], modules: versions },
        CALL_MS,
      );
      const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
      const swap = async (times: number) => {
        for (let i = 1; i <= times; i++) {
          const { digest } = versions[i % 2] as (typeof versions)[number];
          const change = { swap: { name: "swapped", digest, origin: "swapped.wasm", resetFlowState: false } };
          await rpc.call("changePlugins", { changes: [change], modules: versions }, CALL_MS);
        }
      };
      await swap(WARM_UP);
      const before = footprint(node.dataplane.pid);
      await swap(SWAPS);
      const after = footprint(node.dataplane.pid);
      expect((await pings.stop()).lost).toBe(0);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 2);
      // V8's heap comes and goes in parts of its own; what a swap leaves behind would be one each time.
      expect(after.mappings).toBeLessThanOrEqual(before.mappings + 32 + SWAPS / 100);
      expect(after.megabytes).toBeLessThan(before.megabytes + 32);
    },
    2 * MINUTE + (WARM_UP + SWAPS) * 200,
  );
});

/** What workers did in a second in which nobody has packets for them. */
async function quietSecond(node: Node): Promise<{ polls: number }> {
  const polls = async () => {
    const { workers } = (await node.dataplane.status()).native;
    return workers.reduce((sum, worker) => sum + worker.polls, 0);
  };
  const before = await polls();
  await sleep(1000);
  return { polls: (await polls()) - before };
}

interface Footprint {
  descriptors: number;
  mappings: number;
  megabytes: number;
}

/** Of the dataplane, which `ip netns exec` has become. */
function footprint(pid: number): Footprint {
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    mappings: readFileSync(`/proc/${pid}/maps`, "utf8").split("\n").length,
    megabytes: Number(rss) / 1024,
  };
}

describe("a stage that takes too long once in a while", () => {
  test("is stopped each time, comes back each time, and other bursts pass", async () => {
    const folder = temporaryFolder(cleanup);
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    const rpc = clientOf(node);
    // A gauge counts the bursts of all instances; each 200th never ends.
    const wasm = await assembleStage(
      folder,
      {
        process: `(global.set $bursts (i32.add (global.get $bursts) (i32.const 1)))
          (if (i32.eqz (i32.rem_u (global.get $bursts) (i32.const 200))) (then (loop $on (br $on))))`,
        rest: "(global $bursts (mut i32) (i32.const 0))",
      },
      { name: "slow", failure: "Reload" },
    );
    const digest = digestOf(wasm);
    const spec = pluginSpecSchema.parse({ name: "slow", digest, origin: "slow.wasm" });
    await rpc.call(
      "changePlugins",
      { changes: [{ load: { pluginJson: JSON.stringify(spec) } }], modules: [{ digest, wasm }] },
      CALL_MS,
    );
    const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    const stage = await eventually("three failures", 40_000, async () => {
      const found = (await rpc.call("status", {}, CALL_MS)).native.stages.find(({ name }) => name === "slow");
      return found !== undefined && found.failures >= 3 ? found : undefined;
    });
    expect(stage.lastFailure).toMatch(/budget/);
    const { received, sent } = await pings.stop();
    expect(received).toBeGreaterThan(sent / 4);
  });
});

describe("buffers that run out", () => {
  test("lose packets and nothing else", async () => {
    const node = await oneNode(cleanup, 2, (file) => {
      file.memory = { ...file.memory, buffers: 1024, jumbos: 64 };
    });
    const [client, server] = podsOf(node);
    await exchangeUdp(client.namespace, server.v4, { ports: 3000 });
    // Each of them is fourteen fragments, which hold their buffers until all are there.
    await client.namespace.run(["ping", "-f", "-c", "2000", "-s", "20000", "-W", "1", server.v4], {
      timeoutMs: 20_000,
    });
    await eventually("an answer", 40_000, async () =>
      (await ping(client.namespace, server.v4, { count: 3, wait: 0.5 })).lost === 0 ? true : undefined,
    );
  });
});
