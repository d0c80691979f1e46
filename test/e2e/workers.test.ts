import { afterAll, beforeAll, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { natPlugin, policyPlugin } from "../support/plugins.js";
import { type Node, type Pod, twoNodes } from "../support/topology.js";
import { httpDistribution, httpServer, iperf, PingFlow, ping } from "../support/traffic.js";

// Any worker may see any packet of a flow: with two of them, on both nodes, all is as with one.
const WORKERS = 2;
const VIP = "10.96.0.10";

const cleanup = new Cleanup();
let one: Node;
let client: Pod;
let near: Pod;
let far: Pod;

beforeAll(async () => {
  const [first, second] = await twoNodes(cleanup, (file) => {
    file.workers = WORKERS;
  });
  one = first;
  [client, near] = first.pods as [Pod, Pod];
  far = second.pods[0] as Pod;
  const backends = [near.v4, far.v4].map((address) => ({ address, port: 8080 }));
  const plugins = [natPlugin([{ vip: VIP, port: 80, protocol: "tcp", backends }]), policyPlugin("allow", [])];
  for (const node of [first, second]) await node.dataplane.apply({ ...node.file, plugins });
  await httpServer(cleanup, near.namespace, "near");
  await httpServer(cleanup, far.namespace, "far");
});

afterAll(() => cleanup.close());

test("both take their share of the packets", async () => {
  await ping(client.namespace, near.v4, { count: 50, interval: 0.002 });
  await ping(client.namespace, far.v4, { count: 50, interval: 0.002 });
  const { workers } = (await one.dataplane.status()).native;
  expect(workers).toHaveLength(WORKERS);
  for (const worker of workers) expect(worker.received).toBeGreaterThan(20);
});

test.each(["v4", "v6"] as const)("ping beside four TCP streams over IP%s loses nothing", async (family) => {
  const pings = new PingFlow(cleanup, client.namespace, far[family], { interval: 0.005 });
  const streams = await iperf(cleanup, client.namespace, far.namespace, far[family], {
    seconds: 3,
    extra: ["-P", "4"],
  });
  expect(streams.gigabitsPerSecond).toBeGreaterThan(0.05);
  expect(await pings.stop()).toMatchObject({ lost: 0, duplicates: 0 });
});

test("a service's connections all work, whichever worker has them", async () => {
  const answers = await httpDistribution(client.namespace, `http://${VIP}/`, 40);
  expect((answers.get("near") ?? 0) + (answers.get("far") ?? 0)).toBe(40);
});
