import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UPLINK } from "../support/address-plan.js";
import { Cleanup } from "../support/cleanup.js";
import { ownName } from "../support/leftovers.js";
import { connect, Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { type Node, type Pod, prepareNode, temporaryFolder } from "../support/topology.js";
import { exchangeUdp, ping } from "../support/traffic.js";

// A pod with a memif whose program is another implementation's memif (testpmd's) in front of a kernel's networking, which
// speaks both families in full: testpmd carries frames between the memif and a veth.

const MTU = 1400;

const PREFIX = ownName("memif");

const testpmd = (socket: string, wire: string) => [
  ...["dpdk-testpmd", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "128"],
  ...["-l", "0,1", "--file-prefix", PREFIX],
  ...["--vdev", `net_memif0,role=client,id=0,socket=${socket},socket-abstract=no`],
  ...["--vdev", `net_af_packet0,iface=${wire}`],
  ...["--", "--total-num-mbufs=4096", "--forward-mode=io", "--stats-period=60"],
];

describe("a pod with a memif", () => {
  const cleanup = new Cleanup();
  let node: Node;
  let pod: Pod, other: Pod;

  beforeAll(async () => {
    const folder = temporaryFolder(cleanup);
    node = await prepareNode(cleanup, { folder, number: 1, pods: 2, peers: [] });
    [other, pod] = node.pods as [Pod, Pod];
    const socket = join(folder, "memif.sock");
    node.file.ports = node.file.ports.flatMap((port) => {
      if (port.kind !== "tap") return [];
      const { name, mac, addresses = [] } = port;
      if (name !== "pod2") return [{ ...port, mtu: MTU }];
      return [{ name, kind: "memif", socket, mtu: MTU, proxy: true, addresses, ...(mac && { mac }) }];
    });
    // Who is behind the memif is found out as on any link.
    for (const hop of node.file.routes.flatMap(({ nextHops = [] }) => nextHops))
      if (hop.port === "pod2") delete hop.mac;

    const program = await Namespace.create(cleanup, ownName("program"));
    await connect(program, UPLINK, pod.namespace, "eth0", MTU);
    for (const [address, gateway] of [
      [`${pod.v4}/32`, "169.254.1.1"],
      [`${pod.v6}/128`, "fe80::1"],
    ] as const) {
      await pod.namespace.ip("addr", "add", address, "dev", "eth0");
      await pod.namespace.ip("route", "add", "default", "via", gateway, "dev", "eth0", "onlink");
    }
    await node.dataplane.start(node.file);
    const left = join("/run/dpdk", PREFIX);
    cleanup.defer(left, () => rmSync(left, { recursive: true, force: true }));
    program.start(cleanup, testpmd(socket, UPLINK));
    await eventually("the memif", 20_000, async () =>
      (await node.dataplane.status()).native.ports.some(({ name, up }) => name === "pod2" && up) ? true : undefined,
    );
    await eventually("an echo", 20_000, async () =>
      (await ping(other.namespace, pod.v4, { count: 1 })).lost === 0 ? true : undefined,
    );
  });
  afterAll(() => cleanup.close());

  describe.each([
    { family: "IPv4", address: ({ v4 }: Pod) => v4 },
    { family: "IPv6", address: ({ v6 }: Pod) => v6 },
  ])("by $family", ({ address }) => {
    test("is reached, and reaches others", async () => {
      expect(await ping(other.namespace, address(pod))).toMatchObject({ lost: 0 });
      expect(await ping(pod.namespace, address(other))).toMatchObject({ lost: 0 });
      expect(await ping(pod.namespace, address(other), { size: MTU - 48 })).toMatchObject({ lost: 0 });
    });

    test("exchanges datagrams both ways", async () => {
      for (const [from, to] of [
        [other, pod],
        [pod, other],
      ] as const) {
        expect(await exchangeUdp(from.namespace, address(to), { ports: 4, echo: { cleanup, at: to.namespace } })).toBe(
          4,
        );
      }
    });

    test("takes and sends streams of segments of the kernel's", async () => {
      for (const [from, to] of [
        [other, pod],
        [pod, other],
      ] as const) {
        const server = to.namespace.start(cleanup, ["socat", "TCP6-LISTEN:7000,reuseaddr,ipv6only=0", "EXEC:cat"]);
        const input = "0123456789".repeat(50_000);
        const target = address(to).includes(":") ? `[${address(to)}]` : address(to);
        await eventually("an echo of 500 kB", 20_000, async () => {
          const { stdout } = await from.namespace.run(["socat", "-t5", "-", `TCP:${target}:7000`], { input });
          return stdout === input ? true : undefined;
        });
        await server.stop();
      }
    });
  });

  test("finds its gateway by neighbour discovery, and is found by it after having moved", async () => {
    const gateway = (await node.dataplane.status()).native.ports.find(({ name }) => name === "pod2")?.mac;
    const found = new RegExp(`^fe80::1 lladdr ${gateway} .*REACHABLE`, "m");
    await pod.namespace.ip("-6", "neigh", "flush", "dev", "eth0");
    expect(await ping(pod.namespace, other.v6)).toMatchObject({ lost: 0 });
    expect(await pod.namespace.ip("-6", "neigh", "show", "dev", "eth0")).toMatch(found);
    await pod.namespace.ip("link", "set", "eth0", "address", "02:00:00:00:00:99");
    expect(await ping(pod.namespace, other.v6)).toMatchObject({ lost: 0 });
  });
});
