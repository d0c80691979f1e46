import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseNodeFile } from "../src/config/load.js";
import { nodeFileJsonSchema } from "../src/config/schema.js";
import { SluiceError } from "../src/errors.js";

/** What a user sees of a node file's mistakes. */
function problemsOf(yaml: string): string[] {
  try {
    parseNodeFile(yaml, "n.yaml");
    return [];
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    return error.message.split("\n");
  }
}

const PORT_KEYS = "name, kind, mac, mtu, addresses, proxy, host, table";

/** Description, file, the lines that it gives. "name: n" is line 1 of all but the first ones. */
const BAD: [string, string, string[]][] = [
  [
    "an empty file",
    "",
    [
      "invalid-config n.yaml:1:1 /name: missing; allowed: a name of up to 63 characters a-z 0-9 . _ -, with a letter or digit first and last",
    ],
  ],
  [
    "no YAML",
    "name: [a",
    ["invalid-yaml n.yaml:1:9: Flow sequence in block collection must be sufficiently indented and end with a ]"],
  ],
  ["a key twice", "name: a\nname: b", ["invalid-yaml n.yaml:2:1: Map keys must be unique"]],
  [
    "a list at the top",
    "- a",
    [
      'invalid-config n.yaml:1:1: found ["a"]; allowed: a mapping with the keys name, workers, workerCores, busyPoll, memory, stateDir, cacheDir, logLevel, ports, routes, neighbours, conntrack, pipeline, plugins',
    ],
  ],
  [
    "a name with a slash",
    "name: a/b",
    [
      'invalid-config n.yaml:1:7 /name: found "a/b"; allowed: a name of up to 63 characters a-z 0-9 . _ -, with a letter or digit first and last',
    ],
  ],
  [
    "a mistyped key",
    "name: n\nconntrack: {maxFlow: 5}",
    [
      'invalid-config n.yaml:2:13 /conntrack/maxFlow: unknown key "maxFlow" (did you mean "maxFlows"?); allowed: maxFlows, persist, file, timeouts',
    ],
  ],
  [
    "a key of nothing",
    "name: n\nconntrack: {zzz: 5}",
    ['invalid-config n.yaml:2:13 /conntrack/zzz: unknown key "zzz"; allowed: maxFlows, persist, file, timeouts'],
  ],
  [
    "no worker",
    "name: n\nworkers: 0",
    ["invalid-config n.yaml:2:10 /workers: found 0; allowed: a whole number from 1 to 64"],
  ],
  [
    "half a worker",
    "name: n\nworkers: 1.5",
    ["invalid-config n.yaml:2:10 /workers: found 1.5; allowed: a whole number from 1 to 64"],
  ],
  [
    "too few CPUs",
    "name: n\nworkers: 2\nworkerCores: [1]",
    ["invalid-config n.yaml:3:14 /workerCores: found 1 CPUs; allowed: one for each of the 2 workers"],
  ],
  [
    "one CPU for two",
    "name: n\nworkers: 2\nworkerCores: [1, 1]",
    [
      "invalid-config n.yaml:3:18 /workerCores/1: CPU 1 is also that of worker 0; allowed: a CPU of its own for each worker",
    ],
  ],
  [
    "hugepages by a wrong word",
    "name: n\nmemory: {hugepages: requires}",
    [
      'invalid-config n.yaml:2:21 /memory/hugepages: found "requires" (did you mean "require"?); allowed: one of auto, never, require',
    ],
  ],
  [
    "a port of an unknown kind",
    "name: n\nports:\n  - {name: a, kind: tab}",
    [
      'invalid-config n.yaml:3:21 /ports/0/kind: found "tab" (did you mean "tap"?); allowed: one of tap, veth, af-packet, af-xdp, memif, pcap, null, ring, inject, dpdk, vxlan',
    ],
  ],
  [
    "a port without a kind",
    "name: n\nports:\n  - name: a",
    [
      "invalid-config n.yaml:3:5 /ports/0/kind: missing; allowed: one of tap, veth, af-packet, af-xdp, memif, pcap, null, ring, inject, dpdk, vxlan",
    ],
  ],
  [
    "a key of another kind",
    "name: n\nports:\n  - {name: a, kind: inject, vni: 3}",
    [`invalid-config n.yaml:3:29 /ports/0/vni: unknown key "vni"; allowed: ${PORT_KEYS}`],
  ],
  [
    "two ports of a name",
    "name: n\nports:\n  - {name: a, kind: inject}\n  - {name: a, kind: inject}",
    ['invalid-config n.yaml:4:12 /ports/1/name: "a" is also the name of ports[0]; allowed: a name of its own'],
  ],
  [
    "a multicast MAC",
    "name: n\nports:\n  - {name: a, kind: inject, mac: 01:00:5e:00:00:01}",
    [
      'invalid-config n.yaml:3:34 /ports/0/mac: found "01:00:5e:00:00:01"; allowed: a unicast MAC address such as 02:00:00:00:00:01',
    ],
  ],
  [
    "a short MAC",
    "name: n\nports:\n  - {name: a, kind: inject, mac: 02:00:00:00:01}",
    [
      'invalid-config n.yaml:3:34 /ports/0/mac: found "02:00:00:00:01"; allowed: a unicast MAC address such as 02:00:00:00:00:01',
    ],
  ],
  [
    "a tiny MTU",
    "name: n\nports:\n  - {name: a, kind: inject, mtu: 500}",
    [
      "invalid-config n.yaml:3:34 /ports/0/mtu: found 500; allowed: a whole number from 576 to 9600 (bytes, from the L3 header)",
    ],
  ],
  [
    "an MTU too small for IPv6",
    "name: n\nports:\n  - {name: a, kind: inject, mtu: 1000, addresses: ['fd00::1/64']}",
    [
      "invalid-config n.yaml:3:34 /ports/0/mtu: found 1000; allowed: 1280 or more on a port with IPv6 (RFC 8200 section 5)",
    ],
  ],
  [
    "an address without length",
    "name: n\nports:\n  - {name: a, kind: inject, addresses: [10.0.0.1]}",
    [
      'invalid-config n.yaml:3:41 /ports/0/addresses/0: found "10.0.0.1"; allowed: an address and its prefix length such as 10.0.0.1/24 or fd00::1/64',
    ],
  ],
  [
    "one address on two ports",
    "name: n\nports:\n  - {name: a, kind: inject, addresses: ['fd00::1/64']}\n  - {name: b, kind: inject, addresses: ['fd00:0::1/64']}",
    ['invalid-config n.yaml:4:41 /ports/1/addresses/0: fd00::1 is also on port "a"; allowed: one place for an address'],
  ],
  [
    "two host ports",
    "name: n\nports:\n  - {name: a, kind: tap, host: true}\n  - {name: b, kind: tap, host: true}",
    ['invalid-config n.yaml:4:32 /ports/1/host: port "a" is the host stack\'s already; allowed: one such port'],
  ],
  [
    "one kernel interface for two ports",
    "name: n\nports:\n  - {name: a, kind: af-packet, device: eth0}\n  - {name: b, kind: af-xdp, device: eth0}",
    [
      'invalid-config n.yaml:4:5 /ports/1: uses the same interface eth0 in namespace of the dataplane as port "a"; allowed: one port each',
    ],
  ],
  [
    "a VNI of 25 bits",
    "name: n\nports:\n  - {name: u, kind: inject, addresses: [1.0.0.1/24]}\n  - {name: a, kind: vxlan, vni: 16777216, local: 1.0.0.1}",
    ["invalid-config n.yaml:4:33 /ports/1/vni: found 16777216; allowed: a whole number from 1 to 16777215"],
  ],
  [
    "a tunnel from nowhere",
    "name: n\nports:\n  - {name: u, kind: inject, addresses: [1.0.0.1/24]}\n  - {name: a, kind: vxlan, vni: 1, local: 1.0.0.2}",
    ["invalid-config n.yaml:4:43 /ports/1/local: 1.0.0.2 is on no port of this node; allowed: one of 1.0.0.1"],
  ],
  [
    "a default route without a gateway",
    "name: n\nports:\n  - {name: a, kind: tap, peerDefaultRoute: true}",
    [
      "invalid-config n.yaml:3:44 /ports/0/peerDefaultRoute: the default route needs a gateway; allowed: true with addresses on the port",
    ],
  ],
  [
    "a prefix with host bits",
    "name: n\nroutes:\n  - {prefix: 10.0.0.1/24, local: true}",
    [
      'invalid-config n.yaml:3:14 /routes/0/prefix: found "10.0.0.1/24"; allowed: 10.0.0.0/24 (a prefix has no bits set after its length)',
    ],
  ],
  [
    "a route to nowhere",
    "name: n\nroutes:\n  - prefix: 10.0.0.0/24",
    [
      "invalid-config n.yaml:3:5 /routes/0: a route that leads nowhere; allowed: just one of nextHops, blackhole: true, local: true",
    ],
  ],
  [
    "a prefix twice",
    "name: n\nroutes:\n  - {prefix: 'fd00::/64', local: true}\n  - {prefix: 'fd00:0::/64', blackhole: true}",
    [
      "invalid-config n.yaml:4:14 /routes/1/prefix: fd00:0::/64 is also the prefix of routes[0]; allowed: one route a prefix and table, with several next hops",
    ],
  ],
  [
    "a next hop by a mistyped port",
    "name: n\nports:\n  - {name: pod-1, kind: inject}\nroutes:\n  - {prefix: 10.0.0.0/24, nextHops: [{port: pod1}]}",
    [
      'invalid-config n.yaml:5:45 /routes/0/nextHops/0/port: no port is called "pod1" (did you mean "pod-1"?); allowed: one of pod-1',
    ],
  ],
  [
    "a gateway off the port's subnets",
    "name: n\nports:\n  - {name: a, kind: inject, addresses: [10.0.0.1/24]}\nroutes:\n  - {prefix: 0.0.0.0/0, nextHops: [{port: a, gateway: 10.0.1.1}]}",
    [
      'invalid-config n.yaml:5:55 /routes/0/nextHops/0/gateway: 10.0.1.1 is not reachable through port "a" (its addresses: 10.0.0.1/24); allowed: an address in one of its subnets, or one with a mac here or in neighbours',
    ],
  ],
  [
    "a gateway of the other family",
    "name: n\nports:\n  - {name: a, kind: inject}\nroutes:\n  - {prefix: 0.0.0.0/0, nextHops: [{port: a, gateway: 'fe80::1'}]}",
    [
      "invalid-config n.yaml:5:55 /routes/0/nextHops/0/gateway: found fe80::1; allowed: an IPv4 address, as the route's prefix is 0.0.0.0/0",
    ],
  ],
  [
    "a tunnel without its other end",
    "name: n\nports:\n  - {name: u, kind: inject, addresses: [1.0.0.1/24]}\n  - {name: t, kind: vxlan, vni: 1, local: 1.0.0.1}\nroutes:\n  - {prefix: 10.0.0.0/24, nextHops: [{port: t}]}",
    [
      'invalid-config n.yaml:6:38 /routes/0/nextHops/0/remote: missing; allowed: the address of the tunnel\'s other end, as port "t" is a tunnel',
    ],
  ],
  [
    "a neighbour on no port",
    "name: n\nneighbours:\n  - {port: a, address: 10.0.0.1, mac: 02:00:00:00:00:01}",
    [
      'invalid-config n.yaml:3:12 /neighbours/0/port: no port is called "a"; allowed: a port of this file (there are none)',
    ],
  ],
  [
    "a timeout that there is not",
    "name: n\nconntrack: {timeouts: {tcp_establishd: 5}}",
    [
      expect.stringContaining(
        'n.yaml:2:24 /conntrack/timeouts/tcp_establishd: unknown key "tcp_establishd" (did you mean "tcp_established"?); allowed: tcp_syn_sent, ',
      ),
    ],
  ],
  [
    "a plugin of nothing",
    "name: n\nplugins:\n  - name: a",
    [
      "invalid-config n.yaml:3:5 /plugins/0: found neither source nor module; allowed: just one of source (AssemblyScript, .ts) and module (.wasm)",
    ],
  ],
  [
    "a module as source",
    "name: n\nplugins:\n  - {name: a, source: a.wasm}",
    [
      'invalid-config n.yaml:3:23 /plugins/0/source: found "a.wasm"; allowed: an AssemblyScript file that ends in .ts; a .wasm goes under module',
    ],
  ],
  [
    "two configurations",
    "name: n\nplugins:\n  - {name: a, source: a.ts, config: {}, configFile: c}",
    [
      "invalid-config n.yaml:3:53 /plugins/0/configFile: config is there as well; allowed: just one of config and configFile",
    ],
  ],
  [
    "an unknown failure strategy",
    "name: n\nplugins:\n  - {name: a, source: a.ts, failure: FailOpened}",
    [
      'invalid-config n.yaml:3:38 /plugins/0/failure: found "FailOpened" (did you mean "FailOpen"?); allowed: one of FailClosed, FailOpen, Reload',
    ],
  ],
  [
    "a plugin before one that there is not",
    "name: n\nplugins:\n  - {name: nat, source: a.ts, before: [polcy]}\n  - {name: policy, source: b.ts}",
    [
      'invalid-config n.yaml:3:40 /plugins/0/before/0: no plugin is called "polcy" (did you mean "policy"?); allowed: one of nat, policy',
    ],
  ],
  [
    "a plugin before itself",
    "name: n\nplugins:\n  - {name: nat, source: a.ts, before: [nat]}",
    ['invalid-config n.yaml:3:40 /plugins/0/before/0: "nat" is the plugin itself; allowed: another plugin'],
  ],
  [
    "a scope of no port",
    "name: n\nplugins:\n  - {name: nat, source: a.ts, scope: [a]}",
    [
      'invalid-config n.yaml:3:39 /plugins/0/scope/0: no port is called "a"; allowed: a port of this file (there are none)',
    ],
  ],
  [
    "a pipeline with a stranger",
    "name: n\npipeline: {forward: [nat]}",
    [
      'invalid-config n.yaml:2:22 /pipeline/forward/0: no plugin is called "nat"; allowed: a plugin of this file (there are none)',
    ],
  ],
  [
    "a hook that there is not",
    "name: n\npipeline: {forwards: []}",
    [
      'invalid-config n.yaml:2:12 /pipeline/forwards: unknown key "forwards" (did you mean "forward"?); allowed: prerouting, forward, postrouting, input, output',
    ],
  ],
  [
    "several mistakes, in the file's order",
    "name: n\nports:\n  - {name: a, kind: inject, mtu: x}\nworker: 2\nplugins: 3",
    [
      'invalid-config n.yaml:3:34 /ports/0/mtu: found "x"; allowed: a whole number from 576 to 9600 (bytes, from the L3 header)',
      'invalid-config n.yaml:4:1 /worker: unknown key "worker" (did you mean "workers"?); allowed: name, workers, workerCores, busyPoll, memory, stateDir, cacheDir, logLevel, ports, routes, neighbours, conntrack, pipeline, plugins',
      "invalid-config n.yaml:5:10 /plugins: found 3; allowed: a list of plugins",
    ],
  ],
];

describe("a node file is refused with place, value found and what is allowed", () => {
  test.each(BAD)("%s", (_, yaml, problems) => expect(problemsOf(yaml)).toEqual(problems));
});

/** Description and file; all give no problem. */
const GOOD: [string, string][] = [
  ["nothing but a name", "name: n"],
  ["JSON", '{"name": "n", "ports": [{"name": "a", "kind": "inject"}]}'],
  [
    "the same link-local gateway on two ports",
    "name: n\nports:\n  - {name: a, kind: tap, addresses: [169.254.1.1/32, 'fe80::1/128']}\n  - {name: b, kind: tap, addresses: [169.254.1.1/32, 'fe80::1/128']}",
  ],
  [
    "the same address in two routing tables",
    "name: n\nports:\n  - {name: a, kind: inject, addresses: [10.0.0.1/24]}\n  - {name: b, kind: inject, table: 1, addresses: [10.0.0.1/24]}",
  ],
  [
    "a gateway by a static neighbour",
    "name: n\nports:\n  - {name: a, kind: inject}\nneighbours:\n  - {port: a, address: 10.9.9.9, mac: 02:00:00:00:00:09}\nroutes:\n  - {prefix: 0.0.0.0/0, nextHops: [{port: a, gateway: 10.9.9.9}]}",
  ],
  [
    "a link-local IPv6 gateway",
    "name: n\nports:\n  - {name: a, kind: inject}\nroutes:\n  - {prefix: '::/0', nextHops: [{port: a, gateway: 'fe80::9'}]}",
  ],
  [
    "an anchor used twice",
    "name: n\nports:\n  - {name: a, kind: inject, addresses: &gw [169.254.1.1/32]}\n  - {name: b, kind: inject, addresses: *gw}",
  ],
];

describe("a node file is accepted", () => {
  test.each(GOOD)("%s", (_, yaml) => expect(problemsOf(yaml)).toEqual([]));

  test("the example", async () => {
    const file = fileURLToPath(new URL("../../examples/node.yaml", import.meta.url));
    const { node } = parseNodeFile(await readFile(file, "utf8"), file);
    expect(node.ports.map(({ name }) => name)).toEqual(["pod-1", "pod-2", "uplink", "overlay"]);
  });
});

test("the JSON schema has every key of the file, and refuses others", () => {
  const schema = nodeFileJsonSchema();
  expect(schema).toMatchObject({ type: "object", additionalProperties: false, required: ["name"] });
  expect(Object.keys(Object(schema.properties))).toContain("ports");
});
