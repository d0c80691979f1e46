import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { exampleSource } from "../support/plugins.js";
import { type Node, oneNode, type Pod } from "../support/topology.js";
import { exchangeUdp, httpServer, IperfFlow, longConnection, PingFlow, ping, sendUdp } from "../support/traffic.js";

let cleanup: Cleanup;

beforeEach(() => {
  cleanup = new Cleanup();
});

afterEach(() => cleanup.close());

const stageOf = async (node: Node, name: string) => {
  const stage = (await node.dataplane.status()).native.stages.find((each) => each.name === name);
  if (stage === undefined) throw new Error(`no stage ${name}`);
  return stage;
};

const podsOf = (node: Node) => node.pods as [Pod, Pod];

// faulty-loop never returns from a UDP packet to port 666; faulty-trap reads past the end of one to port 667.
describe.each([
  ["faulty-loop", 666, /666|budget|overr|deadline|interrupt/i],
  ["faulty-trap", 667, /trap|unreachable/i],
] as const)("%s", (plugin, trigger, reason) => {
  const source = exampleSource(`${plugin}/assembly/index.ts`);

  test("FailOpen: traffic goes on as if the stage were not there", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    await node.dataplane.must("plugin", "load", source, "--failure", "FailOpen");
    const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    const stream = await IperfFlow.start(cleanup, client.namespace, server.namespace, server.v6, { seconds: 3 });
    await sleep(500);
    await sendUdp(client.namespace, server.v4, trigger);
    await sleep(1_000);
    expect((await stream.result()).gigabitsPerSecond).toBeGreaterThan(0.05);
    expect((await pings.stop()).lost).toBe(0);
    const stage = await stageOf(node, plugin);
    expect(stage).toMatchObject({ failures: 1, state: "failed" });
    expect(stage.lastFailure).toMatch(reason);
  });

  test("FailClosed: nothing passes until the stage is replaced, then all does", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    await node.dataplane.must("plugin", "load", source, "--failure", "FailClosed");
    expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
    await sendUdp(client.namespace, server.v4, trigger);
    await sleep(200);
    expect((await ping(client.namespace, server.v4, { count: 3, wait: 0.3 })).received).toBe(0);
    expect((await stageOf(node, plugin)).drops["stage-failed"]).toBeGreaterThanOrEqual(3);
    await node.dataplane.must("plugin", "swap", `${plugin}=${exampleSource("tap-counter/assembly/index.ts")}`);
    expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
  });

  test("Reload: a new instance takes over after a pause", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    await node.dataplane.must("plugin", "load", source, "--failure", "Reload");
    const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    await sleep(200);
    await sendUdp(client.namespace, server.v4, trigger);
    await sleep(1_000);
    const result = await pings.stop();
    expect(result.lost).toBeLessThan(60); // 100 ms of pause at 200 a second, and slack
    expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
    expect(await stageOf(node, plugin)).toMatchObject({ failures: 1, state: "active" });
  });

  test("a scoped stage takes only its ports' packets with it", async () => {
    const node = await oneNode(cleanup, 3);
    const [client, server] = podsOf(node);
    const other = node.pods[2] as Pod;
    await node.dataplane.must("plugin", "load", source, "--failure", "FailClosed", "--scope", "pod1");
    await sendUdp(client.namespace, server.v4, trigger);
    await sleep(200);
    expect((await ping(client.namespace, server.v4, { count: 2, wait: 0.3 })).received).toBe(0);
    expect(await ping(other.namespace, server.v4)).toMatchObject({ lost: 0 });
  });
});

describe("a full flow table", () => {
  const MAX_FLOWS = 1024;

  test("one-way flows make room for new ones; flows with answers stay", async () => {
    const node = await oneNode(cleanup, 2, (file) => {
      file.conntrack = { ...file.conntrack, maxFlows: MAX_FLOWS };
    });
    const [client, server] = podsOf(node);
    const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    const stream = await IperfFlow.start(cleanup, client.namespace, server.namespace, server.v6, { seconds: 4 });
    await exchangeUdp(client.namespace, server.v4, { ports: 3 * MAX_FLOWS });
    const { flows } = (await node.dataplane.status()).native;
    expect(flows.active).toBeLessThanOrEqual(MAX_FLOWS);
    expect(flows.evicted).toBeGreaterThan(0);
    expect((await pings.stop()).lost).toBe(0);
    expect((await stream.result()).gigabitsPerSecond).toBeGreaterThan(0.05);
  });

  test("with nothing to evict new flows are refused and counted, and old ones go on", async () => {
    const node = await oneNode(cleanup, 2, (file) => {
      file.conntrack = { ...file.conntrack, maxFlows: MAX_FLOWS };
    });
    const [client, server] = podsOf(node);
    const pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
    await sleep(300);
    await exchangeUdp(client.namespace, server.v4, { ports: 2 * MAX_FLOWS, echo: { cleanup, at: server.namespace } });
    const { native } = await node.dataplane.status();
    expect(native.flows.active).toBeLessThanOrEqual(MAX_FLOWS);
    expect(native.flows.refused).toBeGreaterThan(0);
    expect(native.drops["flow-table-full"]).toBeGreaterThan(0);
    expect((await pings.stop()).lost).toBe(0);
  });
});

describe("a killed dataplane", () => {
  test("finds its sessions again when it is started again, and their TCP streams go on", async () => {
    const marker = { name: "dscp-marker", source: exampleSource("dscp-marker/assembly/v1.ts") };
    const node = await oneNode(cleanup, 2, (file) => {
      file.plugins = [marker];
    });
    const [client, server] = podsOf(node);
    await httpServer(cleanup, server.namespace, "server");
    const stream = longConnection(cleanup, client.namespace, `http://${server.v4}:8080/`, 8);
    await sleep(1_000);
    const before = (await node.dataplane.status()).native.flows.active;
    expect(before).toBeGreaterThan(0);

    await node.dataplane.stop("SIGKILL");
    await node.dataplane.start(node.file);

    expect((await node.dataplane.status()).native.flows.active).toBeGreaterThanOrEqual(before);
    expect(await stream).toBe(true);
    // The stream's flow was not begun anew: its slot came back with what the stage had written into it.
    const stage = await stageOf(node, "dscp-marker");
    expect(stage.counters.marked_packets).toBeGreaterThan(0);
    expect(stage.counters.new_sessions).toBe(0);
  }, 90_000);

  test("leaves nothing that keeps a new one from starting, again and again", async () => {
    const node = await oneNode(cleanup, 2);
    const [client, server] = podsOf(node);
    for (let i = 0; i < 3; i++) {
      await node.dataplane.stop("SIGKILL");
      await node.dataplane.start(node.file);
      expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
      expect(await ping(client.namespace, server.v6)).toMatchObject({ lost: 0 });
    }
  });
});
