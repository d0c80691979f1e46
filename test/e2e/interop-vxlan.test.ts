import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OVERLAY_MTU, tunnelMac, UPLINK, underlay4, VNI } from "../support/address-plan.js";
import { Cleanup } from "../support/cleanup.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { joinNodes, type Pod, prepareNode, temporaryFolder } from "../support/topology.js";
import { httpGet, httpServer, iperf, ping } from "../support/traffic.js";

// The other node is Linux: its vxlan device, its stack. Addresses are those of node 2 in the plan.
const LINUX4 = "10.1.2.1";
const LINUX6 = "fd00:1:2::1";
const DEVICE = "vx0";

const cleanup = new Cleanup();
let linux: Namespace;
let pod: Pod;

beforeAll(async () => {
  const node = await prepareNode(cleanup, { folder: temporaryFolder(cleanup), number: 1, pods: 1, peers: [2] });
  linux = await Namespace.create(cleanup, ownName("linux"));
  await joinNodes(node.namespace, linux);
  await linux.ip("addr", "add", `${underlay4(2)}/24`, "dev", UPLINK);
  await tunnelDevice();
  await node.dataplane.start(node.file);
  pod = node.pods[0] as Pod;
});

afterAll(() => cleanup.close());

/** The kernel's end of the tunnel, with node 1 as a static neighbour behind which its pods are. */
async function tunnelDevice(): Promise<void> {
  const vxlan = ["type", "vxlan", "id", String(VNI), "dstport", "4789", "local", underlay4(2), "remote", underlay4(1)];
  await linux.ip("link", "add", DEVICE, "address", tunnelMac(2), "mtu", String(OVERLAY_MTU), ...vxlan);
  await linux.ip("link", "set", DEVICE, "up");
  await linux.ip("addr", "add", `${LINUX4}/24`, "dev", DEVICE);
  await linux.ip("addr", "add", `${LINUX6}/64`, "dev", DEVICE);
  for (const [gateway, prefix] of [
    ["169.254.9.1", "10.1.1.0/24"],
    ["fe80::9", "fd00:1:1::/64"],
  ] as const) {
    await linux.ip("neigh", "add", gateway, "lladdr", tunnelMac(1), "dev", DEVICE, "nud", "permanent");
    await linux.ip("route", "add", prefix, "via", gateway, "dev", DEVICE, ...(gateway.includes(":") ? [] : ["onlink"]));
  }
}

describe.each([
  ["IPv4", LINUX4, "v4"],
  ["IPv6", LINUX6, "v6"],
] as const)("a Sluice pod and Linux's vxlan device, %s", (_, address, family) => {
  test("ping both ways", async () => {
    expect(await ping(pod.namespace, address, { count: 10, interval: 0.01 })).toMatchObject({ lost: 0, duplicates: 0 });
    expect(await ping(linux, pod[family], { count: 10, interval: 0.01 })).toMatchObject({ lost: 0, duplicates: 0 });
  });

  test("fragments both ways", async () => {
    const large = { count: 3, size: 4000, pmtu: "dont" } as const;
    expect(await ping(pod.namespace, address, large)).toMatchObject({ lost: 0 });
    expect(await ping(linux, pod[family], large)).toMatchObject({ lost: 0 });
  });

  test("TCP both ways", async () => {
    await httpServer(cleanup, pod.namespace, "pod", family === "v4" ? 8004 : 8006);
    const host = family === "v4" ? `${pod.v4}:8004` : `[${pod.v6}]:8006`;
    expect(await httpGet(linux, `http://${host}/`)).toEqual({ server: "pod", client: address });
    expect((await iperf(cleanup, pod.namespace, linux, address, { seconds: 2 })).gigabitsPerSecond).toBeGreaterThan(
      0.1,
    );
    expect((await iperf(cleanup, linux, pod.namespace, pod[family], { seconds: 2 })).gigabitsPerSecond).toBeGreaterThan(
      0.1,
    );
  });
});
