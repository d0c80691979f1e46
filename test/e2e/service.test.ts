import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { natPlugin, policyPlugin, type Service } from "../support/plugins.js";
import { type Node, type Pod, twoNodes } from "../support/topology.js";
import {
  httpDistribution,
  httpGet,
  httpServer,
  iperf,
  LARGE_BYTES,
  longConnection,
  udpError,
} from "../support/traffic.js";

const VIPS = { v4: "10.96.0.10", v6: "fd00:96::10" } as const;
const REQUESTS = 40;

const cleanup = new Cleanup();
let nodes: Node[];
let client: Pod;
let near: Pod;
let far: Pod;

beforeAll(async () => {
  nodes = await twoNodes(cleanup);
  const [one, two] = nodes as [Node, Node];
  [client, near] = one.pods as [Pod, Pod];
  far = two.pods[0] as Pod;
  await httpServer(cleanup, near.namespace, "near");
  await httpServer(cleanup, far.namespace, "far");
  await applyServices([near, far]);
});

afterAll(() => cleanup.close());

/** HTTP, iperf3 and a closed UDP port behind both service addresses. */
async function applyServices(backends: Pod[], weights = backends.map(() => 1)): Promise<void> {
  const services = (["v4", "v6"] as const).flatMap((family): Service[] => {
    const vip = VIPS[family];
    const at = (port: number) => backends.map((pod, i) => ({ address: pod[family], port, weight: weights[i] ?? 1 }));
    return [
      { vip, port: 80, protocol: "tcp", backends: at(8080) },
      { vip, port: 5201, protocol: "tcp", backends: [{ address: far[family] }] },
      { vip, port: 53, protocol: "udp", backends: at(5353) },
    ];
  });
  const plugins = [natPlugin(services), policyPlugin("allow", [])];
  for (const node of nodes) await node.dataplane.apply({ ...node.file, plugins });
}

describe.each(["v4", "v6"] as const)("a service address over IP%s", (family) => {
  const vip = VIPS[family];
  const host = family === "v4" ? vip : `[${vip}]`;

  test("spreads connections over its backends, on this node and the other", async () => {
    const answers = await httpDistribution(client.namespace, `http://${host}/`, REQUESTS);
    expect((answers.get("near") ?? 0) + (answers.get("far") ?? 0)).toBe(REQUESTS);
    expect(answers.get("near")).toBeGreaterThan(REQUESTS / 8);
    expect(answers.get("far")).toBeGreaterThan(REQUESTS / 8);
  });

  test("backends see the client's own address", async () => {
    expect((await httpGet(client.namespace, `http://${host}/`)).client).toBe(client[family]);
  });

  test("a backend that calls its own service gets an answer, from itself too", async () => {
    const answers = await httpDistribution(near.namespace, `http://${host}/`, REQUESTS);
    expect(answers.get("none")).toBeUndefined();
    expect(answers.get("near")).toBeGreaterThan(0);
    expect(answers.get("far")).toBeGreaterThan(0);
  });

  test("a large answer arrives whole, and iperf3 runs through it", async () => {
    const page = await client.namespace.must(["curl", "-gsS", "--max-time", "5", `http://${host}/large`]);
    expect(page).toBe("x".repeat(LARGE_BYTES));
    const stream = await iperf(cleanup, client.namespace, far.namespace, vip, { seconds: 2, port: 5201 });
    expect(stream.gigabitsPerSecond).toBeGreaterThan(0.05);
  });

  test("a backend's port unreachable reaches the client as the service's", async () => {
    expect(await udpError(client.namespace, vip, 53)).toBe("ECONNREFUSED");
  });

  test("a port that the service does not have is not answered", async () => {
    expect((await httpGet(client.namespace, `http://${host}:81/`)).server).toBeUndefined();
  });

  test("weights decide: all to the one of weight 1, none to the one of weight 0", async () => {
    await applyServices([near, far], [0, 1]);
    expect(await httpDistribution(client.namespace, `http://${host}/`, 10)).toEqual(new Map([["far", 10]]));
    await applyServices([near, far]);
  });

  test("a running connection stays with its backend when another one is added", async () => {
    await applyServices([near]);
    const stream = longConnection(cleanup, client.namespace, `http://${host}/`, 4);
    await new Promise((wake) => setTimeout(wake, 500));
    await applyServices([near, far]);
    expect(await stream).toBe(true);
  });
});
