import { icmp, icmpv6, ipv4, ipv6, packetHex, type Row, sctp, tcp, udp } from "@sluice/sdk/testing";

const tcp4 = (source: string, destination: string, port = 80, flags = "S") =>
  packetHex(ipv4({ source, destination }), tcp({ sourcePort: 40000, destinationPort: port, flags }));
const tcp6 = (source: string, destination: string, port = 80, flags = "S") =>
  packetHex(ipv6({ source, destination }), tcp({ sourcePort: 40000, destinationPort: port, flags }));
const reply4 = packetHex(
  ipv4({ source: "10.2.0.2", destination: "10.1.0.1" }),
  tcp({ sourcePort: 80, destinationPort: 40000, flags: "SA" }),
);
const reply6 = packetHex(
  ipv6({ source: "fd00:2::2", destination: "fd00:1::1" }),
  tcp({ sourcePort: 80, destinationPort: 40000, flags: "SA" }),
);

const pass = { verdict: "pass", out: "same" } as const;
const deny = { verdict: "drop", reason: "policy" } as const;

/** A flow's state as a former configuration left it: no generation that a row meets, the action, the hook, nothing. */
const stale = (action: "allow" | "deny", hook: 1 | 3 | 4 = 1) =>
  `efbeadde${action === "allow" ? "01" : "02"}0${hook}0000`;

const web: Row["config"] = {
  defaultAction: "deny",
  rules: [
    {
      name: "web",
      action: "allow",
      source: ["10.1.0.0/16", "fd00:1::/64"],
      destination: ["10.2.0.0/16", "fd00:2::/64"],
      protocol: "tcp",
      destinationPorts: [80, "8000-8099"],
      counter: 3,
    },
  ],
};

export const rows: Row[] = [
  {
    name: "without a configuration everything passes",
    hook: "forward",
    packets: [{ in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: pass }],
  },
  {
    name: "without rules the default action decides",
    hook: "forward",
    config: { defaultAction: "deny" },
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: deny },
      { in: tcp6("fd00:1::1", "fd00:2::2"), flow: "b", expect: deny },
    ],
    counters: { denied_packets: 2, allowed_flows: 0 },
  },
  {
    name: "a rule matches on addresses, protocol and ports, in IPv4 and IPv6 alike",
    hook: "forward",
    config: web,
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2", 80), flow: "1", expect: pass },
      { in: tcp4("10.1.255.255", "10.2.0.2", 8000), flow: "2", expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2", 8099), flow: "3", expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2", 8100), flow: "4", expect: deny },
      { in: tcp4("10.1.0.1", "10.2.0.2", 79), flow: "5", expect: deny },
      { in: tcp4("10.0.255.255", "10.2.0.2", 80), flow: "6", expect: deny },
      { in: tcp4("10.1.0.1", "10.3.0.0", 80), flow: "7", expect: deny },
      { in: tcp6("fd00:1::1", "fd00:2::2", 80), flow: "8", expect: pass },
      { in: tcp6("fd00:1:0:0:ffff:ffff:ffff:ffff", "fd00:2::", 8099), flow: "9", expect: pass },
      { in: tcp6("fd00:1:0:1::", "fd00:2::2", 80), flow: "10", expect: deny },
      { in: tcp6("fd00:1::1", "fd00:2:0:1::", 80), flow: "11", expect: deny },
      {
        in: packetHex(
          ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
          udp({ sourcePort: 40000, destinationPort: 80 }),
        ),
        flow: "12",
        expect: deny,
      },
    ],
    counters: { allowed_flows: 5, denied_packets: 7, rule_3: 5 },
  },
  {
    name: "the edges of the address spaces: 0.0.0.0/0, ::/0, the last address of each",
    hook: "forward",
    config: {
      defaultAction: "deny",
      rules: [
        { action: "allow", source: ["0.0.0.0/0"], destination: ["255.255.255.255/32"] },
        {
          action: "allow",
          source: ["::/0"],
          destination: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "8000::/1"],
        },
      ],
    },
    packets: [
      { in: tcp4("223.255.255.255", "255.255.255.255"), expect: pass },
      { in: tcp4("223.0.0.1", "255.255.255.254"), expect: deny },
      { in: tcp6("fd00::1", "7fff:ffff::1"), expect: deny },
      { in: tcp6("1::1", "8000::"), expect: pass },
    ],
  },
  {
    name: "rules apply by priority, lowest first, then as they are written",
    hook: "forward",
    config: {
      defaultAction: "allow",
      rules: [
        { action: "deny", source: ["10.0.0.0/8"], priority: 20 },
        { action: "allow", source: ["10.1.0.0/16"], priority: 10 },
        { action: "deny", source: ["10.1.0.0/16"], priority: 10 },
        { action: "deny", source: ["10.1.2.0/24"], priority: -1 },
      ],
    },
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: pass },
      { in: tcp4("10.2.0.1", "10.2.0.2"), flow: "b", expect: deny },
      { in: tcp4("10.1.2.1", "10.2.0.2"), flow: "c", expect: deny },
      { in: tcp4("11.0.0.1", "10.2.0.2"), flow: "d", expect: pass },
    ],
  },
  {
    name: "overlapping prefixes of one rule count once",
    hook: "forward",
    config: {
      defaultAction: "deny",
      rules: [{ action: "allow", source: ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24"] }],
    },
    packets: [
      { in: tcp4("10.1.1.1", "1.1.1.1"), flow: "a", expect: pass },
      { in: tcp4("10.1.2.1", "1.1.1.1"), flow: "b", expect: pass },
      { in: tcp4("10.255.255.255", "1.1.1.1"), flow: "c", expect: pass },
      { in: tcp4("11.0.0.0", "1.1.1.1"), flow: "d", expect: deny },
    ],
  },
  {
    name: "protocols by name and by number",
    hook: "forward",
    config: {
      defaultAction: "deny",
      rules: [
        { action: "allow", protocol: "icmp" },
        { action: "allow", protocol: "icmpv6" },
        { action: "allow", protocol: "sctp", sourcePorts: ["1-1023"] },
        { action: "allow", protocol: 47 },
      ],
    },
    packets: [
      {
        in: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), icmp({ type: 8, identifier: 7 })),
        flow: "a",
        expect: pass,
      },
      {
        in: packetHex(ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }), icmpv6({ type: 128, identifier: 7 })),
        flow: "b",
        expect: pass,
      },
      {
        in: packetHex(
          ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
          sctp({ sourcePort: 1000, destinationPort: 9 }),
        ),
        flow: "c",
        expect: pass,
      },
      {
        in: packetHex(
          ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }),
          sctp({ sourcePort: 1024, destinationPort: 9 }),
        ),
        flow: "d",
        expect: deny,
      },
      {
        in: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2", protocol: 47 }), new Uint8Array(8)),
        flow: "e",
        expect: pass,
      },
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "f", expect: deny },
    ],
  },
  {
    name: "a rule for one direction is for that hook only",
    hook: "forward",
    config: { defaultAction: "deny", rules: [{ action: "allow", direction: "input", protocol: "tcp" }] },
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", hook: "forward", expect: deny },
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "b", hook: "input", expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "c", hook: "output", expect: deny },
    ],
  },
  {
    name: "both directions of an allowed flow pass without a look at the rules",
    hook: "forward",
    config: web,
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: pass },
      { in: reply4, flow: "a", direction: "reply", at: 1, expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"), flow: "a", at: 2, expect: pass },
      { in: tcp6("fd00:1::1", "fd00:2::2"), flow: "b", at: 3, expect: pass },
      { in: reply6, flow: "b", direction: "reply", at: 4, expect: pass },
    ],
    counters: { allowed_flows: 2, established_packets: 3, rule_3: 2 },
  },
  {
    name: "packets of one flow in one burst",
    hook: "forward",
    config: web,
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"), flow: "a", ctState: "new", expect: pass },
      { in: tcp4("10.1.0.1", "10.9.0.2"), flow: "b", expect: deny },
      { in: tcp4("10.1.0.1", "10.9.0.2", 80, "A"), flow: "b", ctState: "new", expect: deny },
    ],
    counters: { allowed_flows: 1, established_packets: 1, denied_packets: 2 },
  },
  {
    name: "a flow that the plugin meets in its middle is judged by its original direction",
    hook: "forward",
    config: web,
    packets: [
      { in: reply4, flow: "a", ctState: "established", direction: "reply", expect: pass },
      { in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"), flow: "a", at: 1, expect: pass },
      { in: reply6, flow: "b", ctState: "established", direction: "reply", at: 2, expect: pass },
      {
        in: packetHex(
          ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
          tcp({ sourcePort: 80, destinationPort: 80, flags: "A" }),
        ),
        flow: "c",
        ctState: "established",
        direction: "reply",
        at: 3,
        expect: deny,
      },
    ],
  },
  {
    name: "after a change of rules an established flow is judged anew: one that they deny is cut",
    hook: "forward",
    config: web,
    packets: [
      {
        in: tcp4("10.1.0.1", "10.2.0.2", 443, "A"),
        flow: "a",
        ctState: "established",
        flowState: stale("allow"),
        expect: deny,
      },
      {
        in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"),
        flow: "b",
        ctState: "established",
        flowState: stale("allow"),
        expect: pass,
      },
      {
        in: tcp6("fd00:1::1", "fd00:2::2", 80, "A"),
        flow: "c",
        ctState: "established",
        flowState: stale("deny"),
        expect: pass,
      },
      {
        in: tcp6("fd00:1::1", "fd00:3::2", 80, "A"),
        flow: "d",
        ctState: "established",
        flowState: stale("allow"),
        expect: deny,
      },
      { in: reply4, flow: "e", ctState: "established", direction: "reply", flowState: stale("allow"), expect: pass },
    ],
    counters: { cut_flows: 2, denied_packets: 2 },
  },
  {
    name: "a reply at the output hook is judged as the flow was at the input hook",
    hook: "output",
    config: {
      defaultAction: "deny",
      rules: [{ action: "allow", direction: "input", protocol: "tcp", destinationPorts: [80] }],
    },
    packets: [
      { in: reply4, flow: "a", ctState: "established", direction: "reply", expect: pass },
      { in: reply4, flow: "b", ctState: "established", direction: "reply", flowState: stale("allow", 3), expect: pass },
      { in: reply4, flow: "c", ctState: "established", direction: "reply", flowState: stale("allow", 1), expect: deny },
    ],
  },
  {
    name: "an ICMP error goes by its flow: of an allowed one it passes, of a denied one it does not",
    hook: "forward",
    config: web,
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), flow: "a", expect: pass },
      {
        in: packetHex(
          ipv4({ source: "10.9.9.9", destination: "10.1.0.1" }),
          icmp({ type: 3, code: 1 }),
          ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
          tcp({ sourcePort: 40000, destinationPort: 80 }),
        ),
        flow: "a",
        ctState: "related",
        direction: "reply",
        at: 1,
        expect: pass,
      },
      {
        in: packetHex(
          ipv6({ source: "fd00:9::9", destination: "fd00:1::1" }),
          icmpv6({ type: 1 }),
          ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }),
          tcp({ sourcePort: 40000, destinationPort: 80 }),
        ),
        flow: "b",
        ctState: "related",
        direction: "reply",
        flowState: stale("deny"),
        at: 2,
        expect: deny,
      },
    ],
  },
  {
    name: "packets that fit no connection are dropped",
    hook: "forward",
    config: { defaultAction: "allow" },
    packets: [
      {
        in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"),
        ctState: "invalid",
        expect: { verdict: "drop", reason: "invalid-flow-state" },
      },
      {
        in: tcp6("fd00:1::1", "fd00:2::2", 80, "A"),
        ctState: "invalid",
        expect: { verdict: "drop", reason: "invalid-flow-state" },
      },
    ],
    counters: { invalid_packets: 2, denied_packets: 0 },
  },
  {
    name: "invalid: allow leaves them to the rules",
    hook: "forward",
    config: { defaultAction: "allow", invalid: "allow", rules: [{ action: "deny", source: ["10.1.0.1"] }] },
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2", 80, "A"), ctState: "invalid", expect: deny },
      { in: tcp4("10.1.0.2", "10.2.0.2", 80, "A"), ctState: "invalid", expect: pass },
    ],
  },
  {
    name: "untracked packets ask the rules each time",
    hook: "forward",
    config: web,
    packets: [
      { in: tcp4("10.1.0.1", "10.2.0.2"), ctState: "untracked", expect: pass },
      { in: tcp4("10.1.0.1", "10.3.0.2"), ctState: "untracked", expect: deny },
    ],
    counters: { established_packets: 0, rule_3: 1 },
  },
  {
    name: "the second and the last of 64 rules, and those behind",
    hook: "forward",
    config: {
      defaultAction: "allow",
      rules: Array.from({ length: 200 }, (_, i) => ({
        action: "deny",
        destination: [`10.2.${i}.0/24`, `fd00:2:${i.toString(16)}::/48`],
        protocol: "tcp",
        destinationPorts: [1000 + i],
      })),
    },
    packets: [0, 1, 63, 64, 127, 128, 199].flatMap((i) => [
      { in: tcp4("10.1.0.1", `10.2.${i}.1`, 1000 + i), flow: `4 ${i}`, expect: deny },
      { in: tcp4("10.1.0.1", `10.2.${i}.1`, 1001 + i), flow: `4 ${i} other`, expect: pass },
      { in: tcp6("fd00:1::1", `fd00:2:${i.toString(16)}::1`, 1000 + i), flow: `6 ${i}`, expect: deny },
      { in: tcp6("fd00:1::1", `fd00:2:${i.toString(16)}::1`, 999 + i), flow: `6 ${i} other`, expect: pass },
    ]),
  },
];

/** Configurations that are refused, each with the error in full. */
export const badConfigs: { config: Row["config"]; error: string }[] = [
  { config: {}, error: "defaultAction is missing" },
  { config: { defaultAction: "reject" }, error: 'defaultAction must be "allow" or "deny"' },
  { config: { defaultAction: "deny", invalid: "keep" }, error: 'invalid must be "drop" or "allow"' },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow" }, { action: "deny", source: ["10.0.0.0/33"] }] },
    error: 'rules[1].source[0] must be an address or prefix such as "10.0.0.0/8" or "fd00::/64"',
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", source: ["10.0.0.0/8"], destination: ["fd00::/64"] }] },
    error: "rules[0] has no address family that is both in source and in destination",
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", destinationPorts: [80] }] },
    error: "rules[0].destinationPorts needs the rule's protocol to be tcp, udp or sctp",
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", protocol: "tcp", destinationPorts: ["90-80"] }] },
    error: 'rules[0].destinationPorts[0] must be a port from 1 to 65535 or a range such as "8000-8099"',
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", protocol: "tcp", destinationPorts: [65536] }] },
    error: "rules[0].destinationPorts[0] must be a whole number from 1 to 65535",
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", protocol: "tpc" }] },
    error: "rules[0].protocol must be any, tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255",
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", direction: "egress" }] },
    error: 'rules[0].direction must be "forward", "input" or "output"',
  },
  {
    config: { defaultAction: "deny", rules: [{ action: "allow", counter: 8 }] },
    error: "rules[0].counter must be a whole number from 0 to 7",
  },
];
