import { describe, expect, test } from "vitest";
import { type DesiredInput, desiredNodes, podMtu, portName } from "../../src/agent/desired.js";
import { parseNodeSpec } from "../../src/config/load.js";
import type { StartSettings } from "../../src/dataplane/start-file.js";
import type { Attachment } from "../../src/ipam/attachment.js";
import { nodeConfigSpec } from "../../src/resources/node-config.js";

const SETTINGS: StartSettings = {
  name: "node-a",
  workers: 1,
  busyPoll: false,
  memory: { size: 256, hugepages: "auto" },
  logLevel: "info",
  maxFlows: 4096,
};
const UPLINK = { device: "eth0", addresses: ["192.0.2.1/24", "2001:db8::1/64"], gateways: ["192.0.2.254"], mtu: 1500 };
const OTHERS = [
  { name: "node-b", addresses: ["192.0.2.2", "2001:db8::2"], blocks: ["10.0.1.0/26", "fd00:0:0:1::/122"] },
  { name: "node-c", addresses: ["198.51.100.3"], blocks: ["10.0.2.0/26", "fd00:0:0:2::/122"] },
  { name: "no-address", addresses: [], blocks: ["10.0.3.0/26"] },
];

function config(change: Record<string, unknown> = {}) {
  return nodeConfigSpec.parse({ uplink: { take: true }, ...change });
}

function input(change: Partial<DesiredInput> = {}): DesiredInput {
  return {
    settings: SETTINGS,
    config: config(),
    uplink: UPLINK,
    addresses: ["192.0.2.1", "2001:db8::1"],
    attachments: [],
    others: OTHERS,
    ownBlocks: ["10.0.0.0/26"],
    clusterCidrs: ["10.0.0.0/16", "fd00::/48"],
    plugins: [],
    pipeline: {},
    ...change,
  };
}

function attachment(containerId: string, addresses: string[], change: Partial<Attachment> = {}): Attachment {
  return {
    containerId,
    ifname: "eth0",
    netns: `/run/netns/${containerId}`,
    pod: { namespace: "default", name: "web-0", uid: "u" },
    interfaces: [{ name: "eth0", kind: "tap", addresses }],
    portMappings: [],
    ...change,
  };
}

/** Routes of the input as "prefix port gateway-or-remote" or "prefix blackhole". */
function routesOf(change: Partial<DesiredInput>): string[] {
  return desiredNodes()(input(change)).routes.map(({ prefix, blackhole, nextHops: [hop] }) =>
    blackhole ? `${prefix} blackhole` : [prefix, hop?.port, hop?.gateway ?? hop?.remote].filter(Boolean).join(" "),
  );
}

const OWN = ["0.0.0.0/0 uplink 192.0.2.254", "10.0.0.0/26 blackhole"];

/** Description, the change of the input, all routes. */
const ROUTES: [string, Partial<DesiredInput>, string[]][] = [
  [
    "in VXLAN other nodes' blocks of both families go to the node's IPv4 address",
    {},
    [
      "10.0.1.0/26 overlay 192.0.2.2",
      "fd00:0:0:1::/122 overlay 192.0.2.2",
      "10.0.2.0/26 overlay 198.51.100.3",
      "fd00:0:0:2::/122 overlay 198.51.100.3",
      ...OWN,
    ],
  ],
  [
    "routed they go by its address of their family, where that is on the link",
    { config: config({ transport: "routed" }) },
    ["10.0.1.0/26 uplink 192.0.2.2", "fd00:0:0:1::/122 uplink 2001:db8::2", ...OWN],
  ],
  [
    "a node with IPv6 addresses alone has tunnels over IPv6",
    { addresses: ["2001:db8::1"], others: OTHERS.slice(0, 1), uplink: { ...UPLINK, gateways: [] } },
    ["10.0.1.0/26 overlay 2001:db8::2", "fd00:0:0:1::/122 overlay 2001:db8::2", "10.0.0.0/26 blackhole"],
  ],
  [
    "in VXLAN nobody is reached while the uplink has no address of the tunnels' family",
    { uplink: { ...UPLINK, addresses: ["2001:db8::1/64"], gateways: [] } },
    ["10.0.0.0/26 blackhole"],
  ],
  ["without an uplink nobody else is reached", { uplink: undefined as never }, ["10.0.0.0/26 blackhole"]],
  [
    "a pod's addresses go to its port",
    { others: [], attachments: [attachment("c1", ["10.0.0.5", "fd00::5"])] },
    [
      ...OWN,
      `10.0.0.5/32 ${portName(attachment("c1", []), "eth0")}`,
      `fd00::5/128 ${portName(attachment("c1", []), "eth0")}`,
    ],
  ],
];

test.each(ROUTES)("%s", (_, change, expected) => {
  expect(routesOf(change)).toEqual(expected);
});

/** Description, the change of the input, a part of one port. */
const PORTS: [string, Partial<DesiredInput>, Record<string, unknown>][] = [
  ["the uplink is driven as the NodeConfig says", {}, { name: "uplink", kind: "af-packet", device: "eth0", mtu: 1500 }],
  [
    "a DPDK device goes by its arguments",
    { config: config({ uplink: { driver: "dpdk", devargs: "0000:00:05.0" } }) },
    { name: "uplink", kind: "dpdk", devargs: "0000:00:05.0" },
  ],
  ["a tunnel goes from the node's address", {}, { name: "overlay", vni: 4096, local: "192.0.2.1", mtu: 1450 }],
  [
    "or from what the uplink has in its place, before the Node says so",
    { uplink: { ...UPLINK, addresses: ["2001:db8::7/64", "192.0.2.7/24"] } },
    { name: "overlay", local: "192.0.2.7" },
  ],
  ["it is taken", {}, { name: "uplink", take: true }],
  [
    "it is taken where AF_XDP drives it too",
    { config: config({ uplink: { driver: "af-xdp" } }) },
    { name: "uplink", kind: "af-xdp", device: "eth0", take: true },
  ],
  [
    "where it is not, it is the dataplane's own",
    { config: config({ uplink: { take: false } }) },
    { name: "host", device: "sluice0", peerAddresses: ["192.0.2.1/32", "2001:db8::1/128"] },
  ],
  [
    "in its place the host stack has its name and addresses, and routes to the cluster's",
    {},
    {
      name: "host",
      host: true,
      device: "eth0",
      peerAddresses: ["192.0.2.1/24", "2001:db8::1/64"],
      peerRoutes: ["10.0.0.0/16", "fd00::/48"],
    },
  ],
  [
    "and to the networks of an uplink that is the dataplane's own",
    { config: config({ uplink: { take: false } }) },
    { name: "host", peerRoutes: ["10.0.0.0/16", "fd00::/48", "192.0.2.0/24", "2001:db8::/64", "0.0.0.0/0"] },
  ],
  [
    "a pod has a gateway of each of its families",
    { attachments: [attachment("c1", ["10.0.0.5", "fd00::5"])] },
    {
      name: portName(attachment("c1", []), "eth0"),
      kind: "tap",
      device: "eth0",
      netns: "/run/netns/c1",
      mtu: 1450,
      addresses: ["169.254.1.1/32", "fe80::1/128"],
      peerAddresses: ["10.0.0.5/32", "fd00::5/128"],
      peerDefaultRoute: true,
    },
  ],
  [
    "of several interfaces the first one has the default route",
    {
      attachments: [
        attachment("c1", [], {
          interfaces: [
            { name: "eth0", kind: "tap", addresses: ["10.0.0.5"] },
            { name: "net1", kind: "tap", addresses: ["10.0.0.6"] },
          ],
        }),
      ],
    },
    { name: portName(attachment("c1", []), "net1"), device: "net1", peerDefaultRoute: false },
  ],
  [
    "a memif has a socket of its own on the node",
    {
      attachments: [attachment("c1", [], { interfaces: [{ name: "eth0", kind: "memif", addresses: ["10.0.0.5"] }] })],
    },
    {
      name: portName(attachment("c1", []), "eth0"),
      kind: "memif",
      socket: `/run/sluice/memif/${portName(attachment("c1", []), "eth0")}.sock`,
    },
  ],
];

test.each(PORTS)("%s", (_, change, expected) => {
  const { ports } = desiredNode(change);
  expect(ports.find(({ name }) => name === expected.name)).toMatchObject(expected);
});

function desiredNode(change: Partial<DesiredInput> = {}) {
  return desiredNodes()(input(change));
}

/** What the NodeConfig, the uplink and the node's addresses leave for pods. */
const MTUS: [Partial<DesiredInput>, number][] = [
  [{}, 1450],
  [{ addresses: ["2001:db8::1"] }, 1430],
  [{ config: config({ transport: "routed" }) }, 1500],
  [{ config: config({ mtu: 1400 }) }, 1400],
  [{ uplink: { ...UPLINK, mtu: 9000 } }, 8950],
];

test.each(MTUS)("pods' MTU with %j is %i", (change, expected) => {
  expect(podMtu(input(change))).toBe(expected);
});

describe("a desired node", () => {
  test.each([...ROUTES.map(([, change]) => change), ...PORTS.map(([, change]) => change)])(
    "is a valid spec: %j",
    (change) => {
      const spec = desiredNode(change);
      expect(parseNodeSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
    },
  );

  test("has the same objects again where nothing has changed", () => {
    const compute = desiredNodes();
    const all = input({ attachments: [attachment("c1", ["10.0.0.5"])] });
    const [one, two] = [compute(all), compute({ ...all })];
    for (const [index, port] of one.ports.entries()) expect(two.ports[index]).toBe(port);
    for (const [index, route] of one.routes.entries()) expect(two.routes[index]).toBe(route);
  });

  test("names ports of pods for people, and keeps them apart", () => {
    const names = ["c1", "c2"].map((id) => portName(attachment(id, []), "eth0"));
    expect(names[0]).toMatch(/^web-0\.[0-9a-f]{10}$/);
    expect(names[0]).not.toBe(names[1]);
    const long = portName({ ...attachment("c1", []), pod: { namespace: "n", name: "a".repeat(250), uid: "" } }, "eth0");
    expect(long.length).toBeLessThanOrEqual(63);
  });
});
