import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseNodeFile } from "../src/config/load.js";
import { desiredState } from "../src/dataplane/state.js";
import { digest, manifest, node, plugin } from "./helpers.js";

const MANIFESTS = new Map([
  [digest("a"), manifest("policy", { failure: "FailOpen" })],
  [digest("b"), manifest("nat", { hooks: ["prerouting", "postrouting"] })],
]);

/** Description, one port of the file, the same port for the addon. */
const PORTS: [string, Record<string, unknown>, Record<string, unknown>][] = [
  [
    "a tap's interface is called as the port",
    { kind: "tap" },
    { kind: "tap", device: "p", peerAddresses: [], peerDefaultRoute: false, peerRoutes: [] },
  ],
  [
    "a namespace by name",
    { kind: "tap", device: "eth0", netns: "pod-1" },
    {
      kind: "tap",
      device: "eth0",
      netns: "/run/netns/pod-1",
      peerAddresses: [],
      peerDefaultRoute: false,
      peerRoutes: [],
    },
  ],
  [
    "a namespace by path",
    { kind: "tap", netns: "/proc/9/ns/net" },
    { kind: "tap", device: "p", netns: "/proc/9/ns/net", peerAddresses: [], peerDefaultRoute: false, peerRoutes: [] },
  ],
  [
    "a kernel interface",
    { kind: "af-packet", device: "eth1", mtu: 9000 },
    { kind: "af-packet", device: "eth1", mtu: 9000 },
  ],
  [
    "memif's socket is its devargs",
    { kind: "memif", socket: "/run/m.sock", memifId: 3, memifServer: false },
    { kind: "memif", devargs: "/run/m.sock", memifId: 3, memifServer: false },
  ],
  ["pcap files", { kind: "pcap", pcapRx: "a.pcap" }, { kind: "pcap", pcapRx: "a.pcap" }],
  ["a DPDK device", { kind: "dpdk", devargs: "0000:01:00.0" }, { kind: "dpdk", devargs: "0000:01:00.0" }],
  ["a MAC address", { kind: "inject", mac: "02:00:00:00:00:01" }, { kind: "inject", mac: "02:00:00:00:00:01" }],
];

describe("a port for the addon", () => {
  const common = { name: "p", mtu: 1500, addresses: [], proxy: false, host: false, table: 0 };
  test.each(PORTS)("%s", (_, port, expected) => {
    const { ports } = desiredState(node({ ports: [{ name: "p", ...port }] }), MANIFESTS);
    expect(ports).toEqual([{ ...common, ...expected }]);
  });
});

/** Underlay port, local address, the tunnel's MTU: that of the underlay less Ethernet 14, VXLAN 8, UDP 8 and IP 20 or 40. */
const TUNNELS: [Record<string, unknown>, string, number][] = [
  [{ addresses: ["1.0.0.1/24"] }, "1.0.0.1", 1450],
  [{ addresses: ["1.0.0.1/24"], mtu: 9000 }, "1.0.0.1", 8950],
  [{ addresses: ["fd00::1/64"] }, "fd00:0::1", 1430],
];

test.each(TUNNELS)("a tunnel over %j has the MTU %i less overhead", (underlay, local, mtu) => {
  const ports = [
    { name: "u", kind: "inject", ...underlay },
    { name: "t", kind: "vxlan", vni: 1, local },
  ];
  expect(desiredState(node({ ports }), MANIFESTS).ports[1]).toMatchObject({
    kind: "vxlan",
    vni: 1,
    local,
    udpPort: 4789,
    mtu,
  });
});

describe("plugins", () => {
  const plugins = [
    plugin("policy", "a", { config: { rules: [] } }),
    plugin("nat", "b", { before: ["policy"], failure: "Reload" }),
  ];

  test("have their manifest's failure strategy unless the file says otherwise, and their configuration as text", () => {
    const [policy, nat] = desiredState(node({ plugins }), MANIFESTS).plugins;
    expect(policy).toEqual({
      name: "policy",
      digest: digest("a"),
      config: '{"rules":[]}',
      failure: "FailOpen",
      budgetUs: 10_000,
      scope: [],
      resetFlowState: false,
    });
    expect(nat).toMatchObject({ failure: "Reload" });
    expect(nat).not.toHaveProperty("config");
  });

  test("run at the hooks of their manifests", () => {
    expect(desiredState(node({ plugins }), MANIFESTS).pipeline).toEqual({
      prerouting: ["nat"],
      forward: ["policy"],
      postrouting: ["nat"],
      input: [],
      output: [],
    });
  });

  test("run where the pipeline lists them only, at the hooks that it lists", () => {
    const { pipeline } = desiredState(node({ plugins, pipeline: { postrouting: [] } }), MANIFESTS);
    expect(pipeline).toMatchObject({ prerouting: ["nat"], postrouting: [] });
  });

  test("are refused at a hook that they have not", () => {
    expect(() => desiredState(node({ plugins, pipeline: { forward: ["nat", "policy"] } }), MANIFESTS)).toThrow(
      'invalid-config /pipeline/forward/0: plugin "nat" has no forward hook by its manifest; allowed: policy',
    );
  });

  test("are refused without their module", () => {
    expect(() => desiredState(node({ plugins: [plugin("x", "c")] }), MANIFESTS)).toThrow(
      /^unknown-module \/plugins\/0\/digest/,
    );
  });
});

test("flow records are kept in memory that outlives the process, unless the file says no", () => {
  expect(desiredState(node(), MANIFESTS).conntrack).toEqual({
    maxFlows: 262144,
    file: "/dev/shm/sluice-n.flows",
    timeouts: {},
  });
  const conntrack = { persist: false, maxFlows: 2048, timeouts: { udp: 5 } };
  expect(desiredState(node({ conntrack }), MANIFESTS).conntrack).toEqual({ maxFlows: 2048, timeouts: { udp: 5 } });
});

test("the example: lists keep the order and keys of the file, so that the addon's pointers fit it", async () => {
  const file = fileURLToPath(new URL("../../examples/node.yaml", import.meta.url));
  const { node: example } = parseNodeFile(await readFile(file, "utf8"), file);
  const { ports, routes } = desiredState({ ...example, plugins: [] }, MANIFESTS);
  expect(ports.map(({ name, mtu }) => [name, mtu])).toEqual([
    ["pod-1", 1500],
    ["pod-2", 1500],
    ["uplink", 1500],
    ["overlay", 1450],
  ]);
  expect(routes[4]).toEqual({
    table: 0,
    prefix: "10.1.2.0/24",
    blackhole: false,
    local: false,
    nextHops: [{ port: "overlay", remote: "192.168.50.2", weight: 1 }],
  });
});
