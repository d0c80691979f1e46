import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OVERLAY_MTU, UPLINK } from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import { Cleanup } from "../support/cleanup.js";
import { type Node, twoNodes } from "../support/topology.js";
import { httpGet, httpServer, iperf, LARGE_BYTES, ping } from "../support/traffic.js";

const cleanup = new Cleanup();
let one: Node;
let two: Node;

beforeAll(async () => {
  [one, two] = await twoNodes(cleanup);
});

afterAll(() => cleanup.close());

const pod = (node: Node, index: number) => {
  const found = node.pods[index];
  if (found === undefined) throw new Error(`node ${node.number} has no pod ${index}`);
  return found;
};

describe.each(["v4", "v6"] as const)("pods reach each other over IP%s", (family) => {
  test("on one node", async () => {
    const result = await ping(pod(one, 0).namespace, pod(one, 1)[family], { count: 20, interval: 0.01 });
    expect(result).toMatchObject({ lost: 0, duplicates: 0 });
  });

  test("across nodes, through VXLAN", async () => {
    const tunnelled = await capture(cleanup, two.namespace, UPLINK, "udp dst port 4789");
    const result = await ping(pod(one, 0).namespace, pod(two, 1)[family], { count: 20, interval: 0.01 });
    expect(result).toMatchObject({ lost: 0, duplicates: 0 });
    expect((await tunnelled.stop()).length).toBeGreaterThanOrEqual(40); // each echo and each reply
  });

  test("the gateway's link-local address answers", async () => {
    const gateway = family === "v4" ? "169.254.1.1" : "fe80::1%eth0";
    expect(await ping(pod(one, 0).namespace, gateway, { count: 3 })).toMatchObject({ lost: 0 });
  });

  test("a packet whose hops run out comes back as time exceeded, from the node", async () => {
    const result = await ping(pod(one, 0).namespace, pod(two, 0)[family], { count: 1, ttl: 1 });
    expect(result.received).toBe(0);
    expect(result.text).toMatch(/Time to live exceeded|Time exceeded: Hop limit/);
  });

  test("an address that nobody has comes back as unreachable", async () => {
    const nobody = family === "v4" ? "198.51.100.1" : "2001:db8::1";
    const result = await ping(pod(one, 0).namespace, nobody, { count: 1 });
    expect(result.received).toBe(0);
    expect(result.text).toMatch(/Unreachable|No route/i);
  });

  test("a TCP stream arrives whole, and the server sees the client's own address", async () => {
    const [client, server] = [pod(one, 0), pod(two, 0)];
    await httpServer(cleanup, server.namespace, "two", family === "v4" ? 8084 : 8086);
    const host = family === "v4" ? `${server.v4}:8084` : `[${server.v6}]:8086`;
    expect(await httpGet(client.namespace, `http://${host}/`)).toEqual({ server: "two", client: client[family] });
    const large = await client.namespace.must(["curl", "-gsS", "--max-time", "5", `http://${host}/large`]);
    expect(large).toBe("x".repeat(LARGE_BYTES));
  });

  test.each([
    ["one node", 0],
    ["across nodes", 1],
  ])("iperf3 runs: %s", async (_, far) => {
    const server = far ? pod(two, 1) : pod(one, 1);
    const result = await iperf(cleanup, pod(one, 0).namespace, server.namespace, server[family], { seconds: 2 });
    expect(result.gigabitsPerSecond).toBeGreaterThan(0.1);
  });
});

describe.each(["v4", "v6"] as const)("packets larger than the overlay's MTU, IP%s", (family) => {
  const headers = family === "v4" ? 28 : 48;

  test("the largest that fits passes with DF set", async () => {
    const size = OVERLAY_MTU - headers;
    const result = await ping(pod(one, 0).namespace, pod(two, 0)[family], { count: 3, size, pmtu: "do" });
    expect(result.lost).toBe(0);
  });

  test("a fragmented one arrives whole, on one node and across nodes", async () => {
    for (const target of [pod(one, 1), pod(two, 0)]) {
      const result = await ping(pod(one, 0).namespace, target[family], { count: 3, size: 4000, pmtu: "dont" });
      expect(result.lost).toBe(0);
    }
  });
});

test("neighbours: pods learn the gateway by ARP and by ND", async () => {
  const neighbours = await pod(one, 0).namespace.ip("neigh", "show", "dev", "eth0");
  expect(neighbours).toMatch(/169\.254\.1\.1 lladdr/);
  expect(neighbours).toMatch(/fe80::1 lladdr/);
});

test("status counts the packets of each port", async () => {
  const before = await one.dataplane.status();
  await ping(pod(one, 0).namespace, pod(one, 1).v4, { count: 10, interval: 0.01 });
  const after = await one.dataplane.status();
  const received = (status: typeof before, name: string) =>
    status.native.ports.find((port) => port.name === name)?.rxPackets ?? 0;
  expect(received(after, "pod1") - received(before, "pod1")).toBeGreaterThanOrEqual(10);
  expect(received(after, "pod2") - received(before, "pod2")).toBeGreaterThanOrEqual(10);
});
