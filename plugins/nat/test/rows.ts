import {
  type ChecksumMode,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type Layer,
  type PacketRow,
  packetHex,
  type Row,
  sctp,
  tcp,
  udp,
} from "@sluice/sdk/testing";

type Fields = Record<string, string | number | boolean>;

/** Addresses of the same part in both families, so that every row is written once. */
interface Family {
  name: string;
  ip: (fields: { source: string; destination: string }) => Layer;
  client: string;
  vip: string;
  backend: string;
  second: string;
  router: string;
  pool: string;
  world: string;
  hairpin: string;
  pods: string;
  echo: (isReply: boolean, identifier: number) => Layer;
  unreachable: Layer;
}
const v4: Family = {
  name: "IPv4",
  ip: ipv4,
  client: "10.1.0.1",
  vip: "10.96.0.10",
  backend: "10.2.0.2",
  second: "10.2.0.3",
  router: "10.9.9.9",
  pool: "192.0.2.1",
  world: "198.51.100.7",
  hairpin: "169.254.7.7",
  pods: "10.0.0.0/8",
  echo: (isReply, identifier) => icmp({ type: isReply ? 0 : 8, identifier, sequence: 1 }),
  unreachable: icmp({ type: 3, code: 4, sequence: 1400 }),
};
const v6: Family = {
  name: "IPv6",
  ip: ipv6,
  client: "fd00:1::1",
  vip: "fd00:96::10",
  backend: "fd00:2::2",
  second: "fd00:2::3",
  router: "fd00:9::9",
  pool: "2001:db8::1",
  world: "2001:db8:ffff::7",
  hairpin: "fd00:7::7",
  pods: "fd00::/16",
  echo: (isReply, identifier) => icmpv6({ type: isReply ? 129 : 128, identifier, sequence: 1 }),
  unreachable: icmpv6({ type: 2, sequence: 1400 }),
};
const families = [v4, v6];

type End = [address: string, port: number];
type Transport = typeof tcp | typeof udp | typeof sctp;

/** A packet between two ends. */
const between = (
  family: Family,
  [source, sourcePort]: End,
  [destination, destinationPort]: End,
  transport: Transport = tcp,
  checksum: ChecksumMode = "full",
): string =>
  packetHex(
    family.ip({ source, destination }),
    transport({ sourcePort, destinationPort, ...(transport === sctp ? {} : { checksum }) } as never),
    "payload",
  );

/** An ICMP error from `sender` about a packet between two ends. */
const errorAbout = (family: Family, sender: string, quotedSource: End, quotedDestination: End): string =>
  packetHex(
    family.ip({ source: sender, destination: quotedSource[0] }),
    family.unreachable,
    family.ip({ source: quotedSource[0], destination: quotedDestination[0] }),
    udp({ sourcePort: quotedSource[1], destinationPort: quotedDestination[1] }),
    "quoted payload",
  );

const pass = (out: string) => ({ verdict: "pass", out }) as const;
const drop = (reason: string) => ({ verdict: "drop", reason }) as const;

const service = (
  family: Family,
  more: Fields = {},
  backends: Fields[] = [{ address: family.backend, port: 8080 }],
) => ({
  name: "web",
  vip: family.vip,
  port: 80,
  protocol: "tcp",
  backends,
  ...more,
});

/** Both steps of a packet that leaves: as it came, between the hooks, and as it goes. */
function through(flow: string, stages: [string, string, string], more: Partial<PacketRow> = {}): PacketRow[] {
  const [before, between, after] = stages;
  return [
    { in: before, flow, hook: "prerouting", ...more, expect: pass(between) },
    { in: between, flow, hook: "postrouting", ...more, expect: pass(after) },
  ];
}

function serviceRows(family: Family): Row[] {
  const client: End = [family.client, 40000];
  const vip: End = [family.vip, 80];
  const backend: End = [family.backend, 8080];
  const is = (name: string) => `${family.name}: ${name}`;
  const translated = (transport: Transport, checksum: ChecksumMode = "full"): PacketRow[] => {
    const asked = between(family, client, backend, transport, checksum);
    const answered = between(family, backend, client, transport, checksum);
    const more = checksum === "partial" ? { partial: true } : {};
    return [
      ...through("a", [between(family, client, vip, transport, checksum), asked, asked], { ctState: "new", ...more }),
      ...through("a", [answered, answered, between(family, vip, client, transport, checksum)], {
        direction: "reply",
        ...more,
      }),
      ...through("a", [between(family, client, vip, transport, checksum), asked, asked], more),
    ];
  };
  return [
    {
      name: is("a service's connection goes to its backend, and its answers come from the service"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: translated(tcp),
      counters: { service_flows: 1, source_flows: 0 },
    },
    {
      name: is("UDP"),
      hook: "prerouting",
      config: { services: [service(family, { protocol: "udp" })] },
      packets: translated(udp),
    },
    {
      name: is("SCTP"),
      hook: "prerouting",
      config: { services: [service(family, { protocol: "sctp" })] },
      packets: translated(sctp),
    },
    {
      name: is("a partial checksum follows the addresses and not the ports"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: translated(tcp, "partial"),
    },
    {
      name: is("what is no service's passes, and a flow that began before the plugin stays as it is"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: [
        ...through(
          "a",
          [between(family, client, backend), between(family, client, backend), between(family, client, backend)],
          {
            ctState: "new",
          },
        ),
        ...through("b", [between(family, client, vip), between(family, client, vip), between(family, client, vip)], {
          ctState: "established",
        }),
      ],
    },
    {
      name: is("a retransmitted first packet keeps its backend"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: [
        { in: between(family, client, vip), flow: "a", expect: pass(between(family, client, backend)) },
        { in: between(family, client, vip), flow: "a", ctState: "new", expect: pass(between(family, client, backend)) },
      ],
      counters: { service_flows: 1 },
    },
    {
      name: is("a service without a ready backend"),
      hook: "prerouting",
      config: {
        services: [service(family, {}, []), service(family, { port: 81 }, [{ address: family.backend, weight: 0 }])],
      },
      packets: [
        { in: between(family, client, vip), flow: "a", expect: drop("no-backend") },
        { in: between(family, client, [family.vip, 81]), flow: "b", expect: drop("no-backend") },
      ],
    },
    {
      name: is("nothing else is served at a service's address"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: [
        { in: between(family, client, [family.vip, 81]), flow: "a", expect: drop("service-port-closed") },
        { in: between(family, client, vip, udp), flow: "b", expect: drop("service-port-closed") },
        {
          in: packetHex(family.ip({ source: family.client, destination: family.vip }), family.echo(false, 7)),
          flow: "c",
          expect: drop("service-port-closed"),
        },
        { in: between(family, client, vip), ctState: "invalid", expect: drop("service-untracked") },
        { in: between(family, client, vip), ctState: "untracked", expect: drop("service-untracked") },
      ],
    },
    {
      name: is("an address that is shared has other uses"),
      hook: "prerouting",
      config: { services: [service(family, { shared: true })] },
      packets: [
        { in: between(family, client, vip), flow: "a", expect: pass(between(family, client, backend)) },
        { in: between(family, client, [family.vip, 81]), flow: "b", expect: pass("same") },
        { in: between(family, client, vip), ctState: "invalid", expect: pass("same") },
      ],
    },
    {
      name: is("a backend that got itself sees the hairpin address, and its answers come back through the node"),
      hook: "prerouting",
      config: { services: [service(family)], hairpin: { [family === v4 ? "ipv4" : "ipv6"]: family.hairpin } },
      packets: [
        ...through(
          "a",
          [
            between(family, [family.backend, 40000], vip),
            between(family, [family.backend, 40000], backend),
            between(family, [family.hairpin, 40000], backend),
          ],
          { ctState: "new" },
        ),
        ...through(
          "a",
          [
            between(family, backend, [family.hairpin, 40000]),
            between(family, backend, [family.backend, 40000]),
            between(family, vip, [family.backend, 40000]),
          ],
          { direction: "reply" },
        ),
      ],
      counters: { hairpin_flows: 1, source_flows: 1 },
    },
    {
      name: is("a backend that got itself, without a hairpin address"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: [
        {
          in: between(family, [family.backend, 40000], vip),
          flow: "a",
          expect: pass(between(family, [family.backend, 40000], backend)),
        },
        {
          in: between(family, [family.backend, 40000], backend),
          flow: "a",
          hook: "postrouting",
          ctState: "new",
          expect: drop("no-hairpin-address"),
        },
      ],
    },
    {
      name: is("a service may hide its clients from its backends"),
      hook: "prerouting",
      config: { services: [service(family, { sourceNat: family.pool })] },
      packets: [
        ...through(
          "a",
          [
            between(family, client, vip),
            between(family, client, backend),
            between(family, [family.pool, 40000], backend),
          ],
          { ctState: "new" },
        ),
        ...through(
          "a",
          [
            between(family, backend, [family.pool, 40000]),
            between(family, backend, client),
            between(family, vip, client),
          ],
          { direction: "reply" },
        ),
      ],
    },
    {
      name: is("errors about a service's packets, from a router and from the backend, and about its answers"),
      hook: "prerouting",
      config: { services: [service(family, { protocol: "udp", sourceNat: family.pool })] },
      packets: [
        ...through(
          "a",
          [
            between(family, client, vip, udp),
            between(family, client, backend, udp),
            between(family, [family.pool, 40000], backend, udp),
          ],
          { ctState: "new" },
        ),
        ...through(
          "a",
          [
            errorAbout(family, family.router, [family.pool, 40000], backend),
            errorAbout(family, family.router, client, backend),
            errorAbout(family, family.router, client, vip),
          ],
          { ctState: "related", direction: "reply" },
        ),
        ...through(
          "a",
          [
            errorAbout(family, family.backend, [family.pool, 40000], backend),
            errorAbout(family, family.backend, client, backend),
            errorAbout(family, family.vip, client, vip),
          ],
          { ctState: "related", direction: "reply" },
        ),
        ...through(
          "a",
          [
            errorAbout(family, family.router, vip, client),
            errorAbout(family, family.router, backend, client),
            errorAbout(family, family.router, backend, [family.pool, 40000]),
          ],
          { ctState: "related" },
        ),
        ...through(
          "a",
          [
            errorAbout(family, family.client, vip, client),
            errorAbout(family, family.client, backend, client),
            errorAbout(family, family.pool, backend, [family.pool, 40000]),
          ],
          { ctState: "related" },
        ),
      ],
    },
    ...removedBackendRows(family),
  ];
}

/** The state of a flow that a former configuration sent to `second`, and of one that it sent nowhere. */
function flowStateTo(family: Family, servicePort: number, port: number): string {
  const bytes = (address: string): Buffer => {
    const hex = packetHex(family.ip({ source: address, destination: address }), new Uint8Array(1));
    return family === v4
      ? Buffer.concat([Buffer.alloc(12), Buffer.from(hex.slice(24, 32), "hex")])
      : Buffer.from(hex.slice(16, 48), "hex");
  };
  const state = Buffer.alloc(40);
  const from = bytes(family.vip);
  const to = bytes(family.second);
  state.writeUInt32LE(0xbeef0007, 0); // a generation that no row meets; all decided, destination
  state.writeUInt16LE(servicePort ^ port, 4);
  state.writeBigUInt64LE(from.readBigUInt64BE(0) ^ to.readBigUInt64BE(0), 8);
  state.writeBigUInt64LE(from.readBigUInt64BE(8) ^ to.readBigUInt64BE(8), 16);
  return state.toString("hex");
}

function removedBackendRows(family: Family): Row[] {
  const client: End = [family.client, 40000];
  const vip: End = [family.vip, 80];
  const backend: End = [family.backend, 8080];
  const second: End = [family.second, 8080];
  const flowState = flowStateTo(family, 80, 8080);
  const is = (name: string) => `${family.name}: ${name}`;
  const established = { flow: "a", ctState: "established", flowState } as const;
  return [
    {
      name: is("a connection stays with its backend when others come"),
      hook: "prerouting",
      config: {
        services: [
          service(family, {}, [
            { address: family.backend, port: 8080, weight: 1000 },
            { address: family.second, port: 8080, weight: 0 },
          ]),
        ],
      },
      packets: [{ in: between(family, client, vip), ...established, expect: pass(between(family, client, second)) }],
    },
    {
      name: is("a connection whose backend is gone stays with it"),
      hook: "prerouting",
      config: { services: [service(family)] },
      packets: [
        { in: between(family, client, vip), ...established, expect: pass(between(family, client, second)) },
        {
          in: between(family, second, client),
          flow: "a",
          hook: "postrouting",
          direction: "reply",
          expect: pass(between(family, vip, client)),
        },
      ],
      counters: { reselected_flows: 0 },
    },
    {
      name: is("removedBackend: drop ends it"),
      hook: "prerouting",
      config: { services: [service(family)], removedBackend: "drop" },
      packets: [{ in: between(family, client, vip), ...established, expect: drop("backend-removed") }],
    },
    {
      name: is("a UDP flow whose backend is gone gets another at once"),
      hook: "prerouting",
      config: { services: [service(family, { protocol: "udp" })] },
      packets: [
        { in: between(family, client, vip, udp), ...established, expect: pass(between(family, client, backend, udp)) },
        {
          in: between(family, client, vip, udp),
          flow: "a",
          at: 1,
          expect: pass(between(family, client, backend, udp)),
        },
        {
          in: between(family, backend, client, udp),
          flow: "a",
          hook: "postrouting",
          direction: "reply",
          expect: pass(between(family, vip, client, udp)),
        },
      ],
      counters: { reselected_flows: 1, service_flows: 0 },
    },
    {
      name: is("a UDP flow without any backend left waits for one"),
      hook: "prerouting",
      config: { services: [service(family, { protocol: "udp" }, [])] },
      packets: [{ in: between(family, client, vip, udp), ...established, expect: drop("no-backend") }],
    },
  ];
}

function masqueradeRows(family: Family): Row[] {
  const pod: End = [family.client, 40000];
  const world: End = [family.world, 443];
  const config = (ports: string) => ({
    masquerade: [{ source: family.pods, except: [family.pods], to: family.pool, ports }],
  });
  const is = (name: string) => `${family.name}: ${name}`;
  const echo = (source: string, destination: string, identifier: number, isReply = false) =>
    packetHex(family.ip({ source, destination }), family.echo(isReply, identifier), "payload");
  const leaves = (source: End, port: number, flow: string): PacketRow => ({
    in: between(family, source, world),
    flow,
    hook: "postrouting",
    expect: pass(between(family, [family.pool, port], world)),
  });
  return [
    {
      name: is("a pod's flow to the world leaves with the node's address, and its port when it is free"),
      hook: "prerouting",
      config: config("1024-65535"),
      packets: [
        ...through(
          "a",
          [between(family, pod, world), between(family, pod, world), between(family, [family.pool, 40000], world)],
          {
            ctState: "new",
          },
        ),
        ...through(
          "a",
          [between(family, world, [family.pool, 40000]), between(family, world, pod), between(family, world, pod)],
          {
            direction: "reply",
          },
        ),
        ...through("a", [
          between(family, pod, world),
          between(family, pod, world),
          between(family, [family.pool, 40000], world),
        ]),
      ],
      counters: { source_flows: 1 },
    },
    {
      name: is("destinations that are excepted see the pod"),
      hook: "postrouting",
      config: config("1024-65535"),
      packets: [{ in: between(family, pod, [family.backend, 80]), flow: "a", expect: pass("same") }],
      counters: { source_flows: 0 },
    },
    {
      name: is("a port outside of the range is replaced"),
      hook: "postrouting",
      config: config("2000-2000"),
      packets: [
        leaves(pod, 2000, "a"),
        {
          in: between(family, world, [family.pool, 2000]),
          flow: "a",
          hook: "prerouting",
          direction: "reply",
          expect: pass(between(family, world, pod)),
        },
      ],
    },
    {
      name: is("an echo's identifier stands for its port"),
      hook: "postrouting",
      config: config("2000-2000"),
      packets: [
        { in: echo(family.client, family.world, 7), flow: "a", expect: pass(echo(family.pool, family.world, 2000)) },
        {
          in: echo(family.world, family.pool, 2000, true),
          flow: "a",
          hook: "prerouting",
          direction: "reply",
          expect: pass(echo(family.world, family.client, 7, true)),
        },
      ],
    },
    {
      name: is("an error about an echo that was translated"),
      hook: "postrouting",
      config: config("2000-2000"),
      packets: [
        { in: echo(family.client, family.world, 7), flow: "a", expect: pass(echo(family.pool, family.world, 2000)) },
        {
          in: packetHex(
            family.ip({ source: family.router, destination: family.pool }),
            family.unreachable,
            Buffer.from(echo(family.pool, family.world, 2000), "hex"),
          ),
          flow: "a",
          hook: "prerouting",
          ctState: "related",
          direction: "reply",
          expect: pass(
            packetHex(
              family.ip({ source: family.router, destination: family.client }),
              family.unreachable,
              Buffer.from(echo(family.client, family.world, 7), "hex"),
            ),
          ),
        },
      ],
    },
    {
      name: is("two pods with one source port to one place get two ports; to two places they may share it"),
      hook: "postrouting",
      config: config("40000-40001"),
      packets: [
        leaves(pod, 40000, "a"),
        leaves([family.second, 40000], 40001, "b"),
        {
          in: between(family, [family.backend, 40000], [family.world, 80]),
          flow: "c",
          expect: pass(between(family, [family.pool, 40000], [family.world, 80])),
        },
      ],
      counters: { source_flows: 3 },
    },
    {
      name: is("a port that another flow has is passed over, however long it has it"),
      hook: "postrouting",
      config: config("40000-40003"),
      packets: [
        {
          ...leaves(pod, 40002, "a"),
          takenSources: [40000, 40001, 40003].map((port) => ({ address: family.pool, port })),
        },
        {
          ...leaves([family.second, 40000], 40000, "b"),
          takenSources: [{ address: family.pool, port: 40001 }],
          at: 200_000,
        },
      ],
    },
    {
      name: is("a port is free again as soon as no flow has it"),
      hook: "postrouting",
      config: config("40000-40001"),
      packets: [leaves(pod, 40000, "a"), { ...leaves([family.second, 40000], 40000, "b"), at: 1 }],
    },
    {
      name: is("of an echo, the identifiers that other flows have are passed over"),
      hook: "postrouting",
      config: config("2000-2001"),
      packets: [
        {
          in: echo(family.client, family.world, 7),
          flow: "a",
          takenSources: [{ address: family.pool, port: 2001 }],
          expect: pass(echo(family.pool, family.world, 2000)),
        },
      ],
    },
    {
      name: is("a flow for which no port is left is refused, until one is"),
      hook: "postrouting",
      config: config("40000-40001"),
      packets: [
        {
          in: between(family, pod, world),
          flow: "a",
          takenSources: [40000, 40001].map((port) => ({ address: family.pool, port })),
          expect: drop("source-ports-taken"),
        },
        { ...leaves(pod, 40001, "a"), takenSources: [{ address: family.pool, port: 40000 }], ctState: "new", at: 1 },
      ],
      counters: { source_flows: 1 },
    },
  ];
}

const toBackend = (port: number, backend: string): PacketRow => ({
  in: between(v4, [v4.client, port], [v4.vip, 80]),
  flow: `${port}`,
  expect: pass(between(v4, [v4.client, port], [backend, 8080])),
});

const spread: Row = {
  name: "flows are spread over the backends by their hash, the same in every run",
  hook: "prerouting",
  config: {
    services: [
      service(v4, {}, [
        { address: "10.2.0.2", port: 8080 },
        { address: "10.2.0.3", port: 8080 },
      ]),
    ],
  },
  packets: [
    toBackend(40000, "10.2.0.3"),
    toBackend(40001, "10.2.0.2"),
    toBackend(40002, "10.2.0.3"),
    toBackend(40003, "10.2.0.3"),
    toBackend(40004, "10.2.0.3"),
    toBackend(40005, "10.2.0.2"),
  ],
};

export const rows: Row[] = [
  ...families.flatMap((family) => [...serviceRows(family), ...masqueradeRows(family)]),
  spread,
];

export const badConfigs: { config: Row["config"]; error: string }[] = [
  { config: { services: [{ port: 80 }] }, error: "services[0].vip is missing" },
  {
    config: { services: [service(v4, { vip: "10.96.0.0/24" })] },
    error: "services[0].vip must be one address, without a prefix length",
  },
  {
    config: { services: [service(v4, { port: 0 })] },
    error: "services[0].port must be a whole number from 1 to 65535",
  },
  {
    config: { services: [service(v4, { protocol: "icmp" })] },
    error: 'services[0].protocol must be "tcp", "udp" or "sctp"',
  },
  {
    config: { services: [service(v4), service(v6), service(v4, {}, [])] },
    error: "services[2] has the vip, port and protocol of an earlier service",
  },
  {
    config: { services: [service(v4, {}, [{ address: v4.backend }, { address: v6.backend }])] },
    error: "services[0].backends[1].address must be of the vip's address family",
  },
  {
    config: { services: [service(v4, {}, [{ address: v4.backend, weight: 1001 }])] },
    error: "services[0].backends[0].weight must be a whole number from 0 to 1000",
  },
  {
    config: { services: [service(v4, { affinitySeconds: 86401 })] },
    error: "services[0].affinitySeconds must be a whole number from 0 to 86400",
  },
  {
    config: { services: [service(v6, { sourceNat: v4.pool })] },
    error: "services[0].sourceNat must be of the vip's address family",
  },
  {
    config: { masquerade: [{ source: v4.pods, except: [v6.pods], to: v4.pool }] },
    error: "masquerade[0].except[0] must be of the source's address family",
  },
  {
    config: { masquerade: [{ source: v4.pods, to: v6.pool }] },
    error: "masquerade[0].to must be of the source's address family",
  },
  {
    config: { masquerade: [{ source: v4.pods, to: v4.pool, ports: "10-9" }] },
    error: 'masquerade[0].ports must be a port from 1 to 65535 or a range such as "8000-8099"',
  },
  { config: { hairpin: { ipv4: v6.hairpin } }, error: "hairpin.ipv4 must be an IPv4 address" },
  { config: { removedBackend: "reset" }, error: 'removedBackend must be "keep" or "drop"' },
];
