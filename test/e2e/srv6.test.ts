import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  podPrefix4,
  podPrefix6,
  sidDt4,
  sidDt6,
  sidPrefix,
  sidRoute,
  UPLINK,
  underlay6,
} from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import { Cleanup } from "../support/cleanup.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { srv6Plugin } from "../support/plugins.js";
import { joinNodes, type Node, type Pod, prepareNode, temporaryFolder, twoNodes } from "../support/topology.js";
import { httpGet, httpServer, iperf, ping } from "../support/traffic.js";

const SRH = "ip6[6] = 43"; // next header: routing

describe("SRv6 between two Sluice nodes", () => {
  const cleanup = new Cleanup();
  let two: Node;
  let from: Pod;
  let to: Pod;

  beforeAll(async () => {
    const nodes = await twoNodes(cleanup, (file) => {
      const [own, peer] = file.name === "node1" ? [1, 2] : [2, 1];
      file.routes.push(sidRoute(peer as number));
      file.plugins = [srv6Plugin(own as number, [peer as number])];
    });
    two = nodes[1];
    from = nodes[0].pods[0] as Pod;
    to = two.pods[0] as Pod;
  });

  afterAll(() => cleanup.close());

  test.each(["v4", "v6"] as const)(
    "carries IP%s in packets with a segment routing header, not in VXLAN",
    async (family) => {
      const routed = await capture(cleanup, two.namespace, UPLINK, SRH);
      const vxlan = await capture(cleanup, two.namespace, UPLINK, "udp port 4789");
      expect(await ping(from.namespace, to[family], { count: 10, interval: 0.01 })).toMatchObject({ lost: 0 });
      expect((await routed.stop()).length).toBeGreaterThanOrEqual(20);
      expect(await vxlan.stop()).toEqual([]);
    },
  );

  test.each(["v4", "v6"] as const)("TCP and fragments over IP%s", async (family) => {
    const stream = await iperf(cleanup, from.namespace, to.namespace, to[family], { seconds: 2 });
    expect(stream.gigabitsPerSecond).toBeGreaterThan(0.05);
    expect(await ping(from.namespace, to[family], { count: 3, size: 4000, pmtu: "dont" })).toMatchObject({ lost: 0 });
  });
});

describe("SRv6 between a Sluice node and Linux", () => {
  const LINUX4 = "10.1.2.1";
  const LINUX6 = "fd00:1:2::1";
  const cleanup = new Cleanup();
  let linux: Namespace;
  let pod: Pod;

  beforeAll(async () => {
    const node = await prepareNode(cleanup, { folder: temporaryFolder(cleanup), number: 1, pods: 1, peers: [2] });
    node.file.routes.push(sidRoute(2));
    node.file.plugins = [srv6Plugin(1, [2])];
    linux = await Namespace.create(cleanup, ownName("linux"));
    await joinNodes(node.namespace, linux);
    await linuxSide();
    await node.dataplane.start(node.file);
    pod = node.pods[0] as Pod;
  });

  afterAll(() => cleanup.close());

  /** The kernel's seg6 as node 2: it encapsulates for node 1's SIDs and takes its own off. */
  async function linuxSide(): Promise<void> {
    await linux.sysctl({
      [`net.ipv6.conf.${UPLINK}.disable_ipv6`]: 0,
      "net.ipv6.conf.all.seg6_enabled": 1,
      [`net.ipv6.conf.${UPLINK}.seg6_enabled`]: 1,
      "net.ipv6.conf.all.forwarding": 1,
      "net.ipv4.ip_forward": 1,
      "net.ipv4.conf.all.rp_filter": 0,
      [`net.ipv4.conf.${UPLINK}.rp_filter`]: 0,
    });
    await linux.ip("addr", "add", `${underlay6(2)}/64`, "dev", UPLINK);
    await linux.ip("addr", "add", `${LINUX4}/32`, "dev", "lo");
    await linux.ip("addr", "add", `${LINUX6}/128`, "dev", "lo");
    await linux.ip("-6", "route", "add", sidPrefix(1), "via", underlay6(1), "dev", UPLINK);
    await linux.ip("sr", "tunsrc", "set", underlay6(2));
    for (const [prefix, source, sid] of [
      [podPrefix4(1), LINUX4, sidDt4(1)],
      [podPrefix6(1), LINUX6, sidDt6(1)],
    ] as const) {
      const encap = ["encap", "seg6", "mode", "encap", "segs", sid];
      await linux.ip("route", "add", prefix, ...encap, "dev", UPLINK, "src", source);
    }
    await linux.ip(
      "-6",
      "route",
      "add",
      sidDt6(2),
      "encap",
      "seg6local",
      "action",
      "End.DT6",
      "table",
      "local",
      "dev",
      UPLINK,
    );
    await linux.ip(
      "-6",
      "route",
      "add",
      sidDt4(2),
      "encap",
      "seg6local",
      "action",
      "End.DX4",
      "nh4",
      LINUX4,
      "dev",
      UPLINK,
    );
  }

  test.each([
    ["IPv4", LINUX4, "v4"],
    ["IPv6", LINUX6, "v6"],
  ] as const)("%s: ping and TCP both ways", async (_, address, family) => {
    const routed = await capture(cleanup, linux, UPLINK, SRH);
    expect(await ping(pod.namespace, address, { count: 10, interval: 0.01 })).toMatchObject({ lost: 0, duplicates: 0 });
    expect(await ping(linux, pod[family], { count: 10, interval: 0.01 })).toMatchObject({ lost: 0, duplicates: 0 });
    expect((await routed.stop()).length).toBeGreaterThanOrEqual(40);
    await httpServer(cleanup, pod.namespace, "pod", family === "v4" ? 8004 : 8006);
    const host = family === "v4" ? `${pod.v4}:8004` : `[${pod.v6}]:8006`;
    expect(await httpGet(linux, `http://${host}/`)).toEqual({ server: "pod", client: address });
  });
});
