import { type Expectation, icmp, ipv4, ipv6, packetHex, type Row, srh, tcp, udp } from "@sluice/sdk/testing";

const drop = (reason: string): Expectation => ({ verdict: "drop", reason });
const badSrh = drop("hop-limit-srh");

const outer = (destination: string, more: object = {}) =>
  ipv6({ source: "fd00:12::1", destination, hopLimit: 63, ...more });
const inner4 = ipv4({ source: "10.1.0.1", destination: "10.2.0.2", dscp: 46, ecn: 2, ttl: 61 });
const inner6 = ipv6({ source: "fd00:1::1", destination: "fd00:2::2", dscp: 10, flowLabel: 0x12345, hopLimit: 61 });
const data = tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" });

const end = "fc00:2::e";
const sids = {
  localSids: [
    { sid: end, behaviour: "End" },
    { sid: "fc00:2::e1", behaviour: "End.X", nextHop: "fe80::9", port: 4 },
    { sid: "fc00:2::d4", behaviour: "End.DT4", table: 7 },
    { sid: "fc00:2::d6", behaviour: "End.DT6" },
    { sid: "fc00:2::c4", behaviour: "End.DX4", nextHop: "10.9.0.1", port: 5 },
    { sid: "fc00:2::c6", behaviour: "End.DX6", port: 6 },
    { sid: "fc00:2:ff::/48", behaviour: "End" },
  ],
};
const path = (segmentsLeft: number, last = "fc00:3::d4") => srh({ segments: [last, end], segmentsLeft });

const endpoints: Row[] = [
  {
    name: "End goes to the next segment; the hop limit is left to forwarding",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer(end), path(1), inner4, data),
        expect: { verdict: "pass", out: packetHex(outer("fc00:3::d4"), path(0), inner4, data) },
      },
      {
        in: packetHex(outer(end), path(1, "fc00:3::d6"), inner6, data),
        expect: { verdict: "pass", out: packetHex(outer("fc00:3::d6"), path(0, "fc00:3::d6"), inner6, data) },
      },
    ],
    counters: { endpoint_packets: 2 },
  },
  {
    name: "End of a reduced list: Segments Left is one more than Last Entry",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer(end), srh({ segments: ["fc00:3::d4", "fc00:4::e"], segmentsLeft: 2 }), inner4, data),
        expect: {
          verdict: "pass",
          out: packetHex(
            outer("fc00:4::e"),
            srh({ segments: ["fc00:3::d4", "fc00:4::e"], segmentsLeft: 1 }),
            inner4,
            data,
          ),
        },
      },
    ],
  },
  {
    name: "End keeps a transport checksum right, which is over the last segment",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer(end), path(1, "fd00:2::2"), udp({ sourcePort: 5, destinationPort: 6 }), "text"),
        expect: {
          verdict: "pass",
          out: packetHex(outer("fd00:2::2"), path(0, "fd00:2::2"), udp({ sourcePort: 5, destinationPort: 6 }), "text"),
        },
      },
    ],
  },
  {
    name: "a SID's prefix stands for all SIDs in it",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer("fc00:2:ff:1234::"), path(1), inner4, data),
        expect: { verdict: "pass", out: packetHex(outer("fc00:3::d4"), path(0), inner4, data) },
      },
    ],
  },
  {
    name: "End.X leaves to its neighbour",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer("fc00:2::e1"), path(1), inner4, data),
        expect: {
          verdict: "redirect",
          outPort: 4,
          nextHop: "fe80::9",
          out: packetHex(outer("fc00:3::d4"), path(0), inner4, data),
        },
      },
    ],
  },
  {
    name: "End.DT4 takes the inner packet to its table, with a routing header or without",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer("fc00:2::d4"), path(0), inner4, data),
        expect: { verdict: "reinput", table: 7, out: packetHex(inner4, data) },
      },
      {
        in: packetHex(outer("fc00:2::d4"), inner4, data),
        expect: { verdict: "reinput", table: 7, out: packetHex(inner4, data) },
      },
    ],
    counters: { decapsulated_packets: 2 },
  },
  {
    name: "End.DT6",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer("fc00:2::d6"), path(0), inner6, data),
        expect: { verdict: "reinput", table: 0, out: packetHex(inner6, data) },
      },
      {
        in: packetHex(outer("fc00:2::d6"), inner6, data),
        expect: { verdict: "reinput", table: 0, out: packetHex(inner6, data) },
      },
    ],
  },
  {
    name: "End.DX4 leaves to its neighbour, End.DX6 without one to the inner destination",
    hook: "prerouting",
    config: sids,
    packets: [
      {
        in: packetHex(outer("fc00:2::c4"), path(0), inner4, data),
        expect: { verdict: "redirect", outPort: 5, nextHop: "10.9.0.1", out: packetHex(inner4, data) },
      },
      {
        in: packetHex(outer("fc00:2::c6"), path(0), inner6, data),
        expect: { verdict: "redirect", outPort: 6, nextHop: "", out: packetHex(inner6, data) },
      },
    ],
  },
  {
    name: "what ends at a SID that goes on, and what goes on at a SID that ends",
    hook: "prerouting",
    config: sids,
    packets: [
      { in: packetHex(outer(end), path(0), inner4, data), expect: badSrh },
      { in: packetHex(outer(end), inner4, data), expect: badSrh },
      { in: packetHex(outer("fc00:2::e1"), path(0), inner4, data), expect: badSrh },
      { in: packetHex(outer("fc00:2::d4"), path(1), inner4, data), expect: badSrh },
      { in: packetHex(outer("fc00:2::c6"), path(1), inner6, data), expect: badSrh },
    ],
    counters: { endpoint_packets: 0, decapsulated_packets: 0 },
  },
  {
    name: "another packet inside than the SID's function takes",
    hook: "prerouting",
    config: sids,
    packets: [
      { in: packetHex(outer("fc00:2::d4"), path(0), inner6, data), expect: badSrh },
      { in: packetHex(outer("fc00:2::d6"), inner4, data), expect: badSrh },
      { in: packetHex(outer("fc00:2::d4"), data), expect: badSrh },
      { in: packetHex(outer("fc00:2::c4"), path(0), inner6, data), expect: badSrh },
    ],
  },
  {
    name: "Segments Left or Last Entry behind the list",
    hook: "prerouting",
    config: sids,
    packets: [
      { in: packetHex(outer(end), path(3), inner4, data), expect: badSrh },
      { in: withLastEntry(packetHex(outer(end), path(1), inner4, data), 2), expect: badSrh },
      { in: withLastEntry(packetHex(outer(end), path(2), inner4, data), 0), expect: badSrh },
    ],
  },
  {
    name: "a routing header of another type, and one that is too long to be read",
    hook: "prerouting",
    config: sids,
    packets: [
      { in: withRoutingType(packetHex(outer(end), path(1), inner4, data), 253), expect: badSrh },
      {
        in: packetHex(
          outer(end),
          srh({ segments: Array.from({ length: 20 }, (_, i) => `fc00:${i + 1}::e`) }),
          inner4,
          data,
        ),
        expect: drop("srh-unreadable"),
      },
    ],
  },
  {
    name: "what is for no SID passes",
    hook: "prerouting",
    config: sids,
    packets: [
      { in: packetHex(inner4, data), expect: { verdict: "pass", out: "same" } },
      { in: packetHex(outer("fc00:2::f"), path(1), inner4, data), expect: { verdict: "pass", out: "same" } },
    ],
  },
];

/** The SRH lies behind the fixed header: byte 40 + 4 is Last Entry, 40 + 2 the routing type. */
function withLastEntry(packet: string, value: number): string {
  return setByte(packet, 44, value);
}
function withRoutingType(packet: string, value: number): string {
  return setByte(packet, 42, value);
}
function setByte(packet: string, at: number, value: number): string {
  return packet.slice(0, at * 2) + value.toString(16).padStart(2, "0") + packet.slice(at * 2 + 2);
}

type Fields = Record<string, string | number | boolean | string[]>;

const policy = (match: string, more: Fields = {}) => ({
  match,
  segments: ["fc00:2::e", "fc00:3::d4"],
  flowLabel: "inner",
  ...more,
});
const wrapped = (more: object = {}) => outer("fc00:2::e", { hopLimit: 64, ...more });

const encapsulations: Row[] = [
  {
    name: "H.Encaps: the inner packet's traffic class, the first segment as destination, the list backwards",
    hook: "postrouting",
    config: { source: "fd00:12::1", policies: [policy("10.2.0.0/16"), policy("fd00:2::/64")] },
    packets: [
      {
        in: packetHex(inner4, data),
        expect: { verdict: "pass", out: packetHex(wrapped({ dscp: 46, ecn: 2 }), path(1), inner4, data) },
      },
      {
        in: packetHex(inner6, data),
        expect: {
          verdict: "pass",
          out: packetHex(wrapped({ dscp: 10, flowLabel: 0x12345 }), path(1), inner6, data),
        },
      },
    ],
    counters: { encapsulated_packets: 2 },
  },
  {
    name: "H.Encaps.Red: the first segment is not listed; of one segment there is no routing header",
    hook: "postrouting",
    config: {
      source: "fd00:12::1",
      policies: [
        policy("10.2.0.0/16", { reduced: true }),
        policy("fd00:2::/64", { reduced: true, segments: ["fc00:2::d6"], hopLimit: "inner" }),
      ],
    },
    packets: [
      {
        in: packetHex(inner4, data),
        expect: {
          verdict: "pass",
          out: packetHex(
            wrapped({ dscp: 46, ecn: 2 }),
            srh({ segments: ["fc00:3::d4"], segmentsLeft: 1 }),
            inner4,
            data,
          ),
        },
      },
      {
        in: packetHex(inner6, data),
        expect: {
          verdict: "pass",
          out: packetHex(outer("fc00:2::d6", { hopLimit: 61, dscp: 10, flowLabel: 0x12345 }), inner6, data),
        },
      },
    ],
  },
  {
    name: "five listed segments fill the room before a packet",
    hook: "postrouting",
    config: {
      policies: [
        policy("10.2.0.0/16", {
          source: "fd00:12::2",
          hopLimit: 9,
          segments: ["fc00:2::e", "fc00:3::e", "fc00:4::e", "fc00:5::e", "fc00:6::e"],
        }),
      ],
    },
    packets: [
      {
        in: packetHex(inner4, data),
        expect: {
          verdict: "pass",
          out: packetHex(
            ipv6({ source: "fd00:12::2", destination: "fc00:2::e", hopLimit: 9, dscp: 46, ecn: 2 }),
            srh({ segments: ["fc00:6::e", "fc00:5::e", "fc00:4::e", "fc00:3::e", "fc00:2::e"] }),
            inner4,
            data,
          ),
        },
      },
    ],
  },
  {
    name: "the longest destination wins, then the longest source; what none matches falls back to a shorter destination",
    hook: "postrouting",
    config: {
      source: "fd00:12::1",
      policies: [
        policy("10.0.0.0/8", { segments: ["fc00:8::e"] }),
        policy("10.2.0.0/16", { segments: ["fc00:9::e"], matchSource: "10.1.0.0/16" }),
        policy("10.2.0.0/16", { segments: ["fc00:a::e"], matchSource: "10.1.0.0/24" }),
        policy("10.2.0.0/16", { segments: ["fc00:b::e"], matchSource: "10.3.0.0/24" }),
      ],
    },
    packets: [
      {
        in: to4("10.1.0.1", "10.2.0.2"),
        expect: { verdict: "pass", out: single("fc00:a::e", "10.1.0.1", "10.2.0.2") },
      },
      {
        in: to4("10.1.1.1", "10.2.0.2"),
        expect: { verdict: "pass", out: single("fc00:9::e", "10.1.1.1", "10.2.0.2") },
      },
      {
        in: to4("10.3.0.1", "10.2.0.2"),
        expect: { verdict: "pass", out: single("fc00:b::e", "10.3.0.1", "10.2.0.2") },
      },
      {
        in: to4("10.4.0.1", "10.2.0.2"),
        expect: { verdict: "pass", out: single("fc00:8::e", "10.4.0.1", "10.2.0.2") },
      },
      {
        in: to4("10.1.0.1", "10.5.0.2"),
        expect: { verdict: "pass", out: single("fc00:8::e", "10.1.0.1", "10.5.0.2") },
      },
      { in: to4("10.1.0.1", "11.0.0.1"), expect: { verdict: "pass", out: "same" } },
    ],
  },
  {
    name: "encapsAt: prerouting, where a packet is not routed yet",
    hook: "prerouting",
    config: { source: "fd00:12::1", encapsAt: "prerouting", policies: [policy("10.2.0.0/16")] },
    packets: [
      {
        in: packetHex(inner4, data),
        expect: { verdict: "pass", out: packetHex(wrapped({ dscp: 46, ecn: 2 }), path(1), inner4, data) },
      },
      { in: packetHex(inner4, data), hook: "postrouting", expect: { verdict: "pass", out: "same" } },
    ],
  },
];

function to4(source: string, destination: string): string {
  return packetHex(ipv4({ source, destination }), data);
}
function single(segment: string, source: string, destination: string): string {
  return packetHex(outer(segment, { hopLimit: 64 }), srh({ segments: [segment] }), ipv4({ source, destination }), data);
}

/**
 * What the Linux kernel made (6.18, iproute2's `ip route add <prefix> encap seg6 mode encap|encap.red segs <list>`, and
 * `encap seg6local action End`), captured with tcpdump on a veth between two namespaces; from the L3 header. The kernel's
 * net.ipv6.seg6_flowlabel is 0: the outer label is the inner one's. Its endpoints had forwarded: the hop limit is one less
 * there, and put back here, as forwarding is not the stage's.
 */
const kernel: Row[] = [
  {
    name: "the kernel's H.Encaps of IPv4 and IPv6, H.Encaps.Red of three segments and of one",
    hook: "postrouting",
    config: {
      source: "fd00:12::1",
      policies: [
        { match: "10.2.0.0/24", segments: ["fc00:2::e", "fc00:3::d4"], flowLabel: "inner" },
        { match: "fd00:2::/64", segments: ["fc00:2::e", "fc00:3::d6"], flowLabel: "inner", hopLimit: "inner" },
        {
          match: "fd00:3::/64",
          segments: ["fc00:2::e", "fc00:4::e", "fc00:3::d6"],
          flowLabel: "inner",
          hopLimit: "inner",
          reduced: true,
        },
        { match: "fd00:4::/64", segments: ["fc00:2::d6"], flowLabel: "inner", hopLimit: "inner", reduced: true },
      ],
    },
    packets: [
      kernelEncapsulated(
        "60000000004c2b40fd000012000000000000000000000001fc00000200000000000000000000000e0404040101000000fc0000030000000000000000000000d4fc00000200000000000000000000000e",
        "45000024af1a4000400177b20a0100010a0200090800d9b5123900010001020304050607",
      ),
      kernelEncapsulated(
        "6000303900602b40fd000012000000000000000000000001fc00000200000000000000000000000e2904040101000000fc0000030000000000000000000000d6fc00000200000000000000000000000e",
        "6000303900103a40fd000001000000000000000000000001fd0000020000000000000000000000098000675b123a00010001020304050607",
      ),
      kernelEncapsulated(
        "6b8064f800602b40fd000012000000000000000000000001fc00000200000000000000000000000e2904040201000000fc0000030000000000000000000000d6fc00000400000000000000000000000e",
        "6b8064f800103a40fd000001000000000000000000000001fd00000300000000000000000000000980006750124400010001020304050607",
      ),
      kernelEncapsulated(
        "6000d43100382940fd000012000000000000000000000001fc0000020000000000000000000000d6",
        "6000d43100103a40fd000001000000000000000000000001fd00000400000000000000000000000980006746124d00010001020304050607",
      ),
    ],
  },
  {
    name: "the kernel's End, of a full list and of a reduced one, and End.DT6",
    hook: "prerouting",
    config: {
      localSids: [
        { sid: "fc00:2::e", behaviour: "End" },
        { sid: "fc00:2::d6", behaviour: "End.DT6", table: 254 },
      ],
    },
    packets: [
      {
        in: "60000000004c2b40fd000012000000000000000000000001fc00000200000000000000000000000e0404040101000000fc0000030000000000000000000000d4fc00000200000000000000000000000e45000024af1a4000400177b20a0100010a0200090800d9b5123900010001020304050607",
        expect: {
          verdict: "pass",
          out: "60000000004c2b40fd000012000000000000000000000001fc0000030000000000000000000000d40404040001000000fc0000030000000000000000000000d4fc00000200000000000000000000000e45000024af1a4000400177b20a0100010a0200090800d9b5123900010001020304050607",
        },
      },
      {
        in: "6b8064f800602b40fd000012000000000000000000000001fc00000200000000000000000000000e2904040201000000fc0000030000000000000000000000d6fc00000400000000000000000000000e6b8064f800103a40fd000001000000000000000000000001fd00000300000000000000000000000980006750124400010001020304050607",
        expect: {
          verdict: "pass",
          out: "6b8064f800602b40fd000012000000000000000000000001fc00000400000000000000000000000e2904040101000000fc0000030000000000000000000000d6fc00000400000000000000000000000e6b8064f800103a40fd000001000000000000000000000001fd00000300000000000000000000000980006750124400010001020304050607",
        },
      },
      {
        in: "6000d43100382940fd000012000000000000000000000001fc0000020000000000000000000000d66000d43100103a40fd000001000000000000000000000001fd00000400000000000000000000000980006746124d00010001020304050607",
        expect: {
          verdict: "reinput",
          table: 254,
          out: "6000d43100103a40fd000001000000000000000000000001fd00000400000000000000000000000980006746124d00010001020304050607",
        },
      },
    ],
  },
];

function kernelEncapsulated(headers: string, inner: string): Row["packets"][number] {
  return { in: inner, expect: { verdict: "pass", out: headers + inner } };
}

/** An echo in each family through a path and out of it at its end, as two nodes do it. */
const roundTrip: Row = {
  name: "what is put into a path comes out of it unchanged",
  hook: "prerouting",
  config: { ...sids, source: "fd00:12::1", policies: [policy("10.2.0.0/16", { segments: ["fc00:2::d4"] })] },
  packets: [
    {
      in: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), icmp({ type: 8, identifier: 3 }), "ping"),
      hook: "postrouting",
      expect: {
        verdict: "pass",
        out: packetHex(
          outer("fc00:2::d4", { hopLimit: 64 }),
          srh({ segments: ["fc00:2::d4"] }),
          ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
          icmp({ type: 8, identifier: 3 }),
          "ping",
        ),
      },
    },
    {
      in: packetHex(
        outer("fc00:2::d4", { hopLimit: 64 }),
        srh({ segments: ["fc00:2::d4"] }),
        ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
        icmp({ type: 8, identifier: 3 }),
        "ping",
      ),
      expect: {
        verdict: "reinput",
        table: 7,
        out: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), icmp({ type: 8, identifier: 3 }), "ping"),
      },
    },
  ],
};

export const rows: Row[] = [...endpoints, ...encapsulations, ...kernel, roundTrip];

/** With packets larger than one packet buffer: for Node only. */
export const largeRows: Row[] = [
  {
    name: "a packet that would be longer than IPv6 allows",
    hook: "postrouting",
    config: { source: "fd00:12::1", policies: [policy("10.2.0.0/16")] },
    packets: [
      {
        in: packetHex(inner4, data, Buffer.alloc(65535 - 40 - 40)),
        gsoSize: 1400,
        expect: { verdict: "pass" },
      },
      {
        in: packetHex(inner4, data, Buffer.alloc(65535 - 40 - 39)),
        gsoSize: 1400,
        expect: drop("encapsulation-too-long"),
      },
    ],
  },
];

export const badConfigs: { config: Row["config"]; error: string }[] = [
  { config: { localSids: [{ behaviour: "End" }] }, error: "localSids[0].sid is missing" },
  {
    config: { localSids: [{ sid: "10.0.0.1", behaviour: "End" }] },
    error: "localSids[0].sid must be an IPv6 address or prefix",
  },
  {
    config: { localSids: [{ sid: end, behaviour: "End.B6" }] },
    error: 'localSids[0].behaviour must be "End", "End.X", "End.DT4", "End.DT6", "End.DX4" or "End.DX6"',
  },
  {
    config: {
      localSids: [
        { sid: end, behaviour: "End" },
        { sid: end, behaviour: "End.DT4" },
      ],
    },
    error: "localSids[1].sid is the SID of an earlier entry",
  },
  { config: { localSids: [{ sid: end, behaviour: "End.X", port: 1 }] }, error: "localSids[0].nextHop is missing" },
  {
    config: { localSids: [{ sid: end, behaviour: "End.DX4", nextHop: "10.0.0.1" }] },
    error: "localSids[0].port is missing",
  },
  {
    config: { localSids: [{ sid: end, behaviour: "End.DX4", nextHop: "fe80::1", port: 1 }] },
    error: 'localSids[0].nextHop must be an IPv4 address such as "10.0.0.1"',
  },
  {
    config: { localSids: [{ sid: end, behaviour: "End", table: 1 }] },
    error: "localSids[0].table is for End.DT4 and End.DT6 only",
  },
  {
    config: { localSids: [{ sid: end, behaviour: "End.DT4", port: 1 }] },
    error: "localSids[0].port is for End.X, End.DX4 and End.DX6 only",
  },
  {
    config: { policies: [policy("10.0.0.0/8")] },
    error: "policies[0] has no source, and there is none for all",
  },
  {
    config: { source: "fd00::1", policies: [policy("10.0.0.0/8", { matchSource: "fd00::/8" })] },
    error: "policies[0].matchSource must be of match's address family",
  },
  {
    config: { source: "fd00::1", policies: [policy("10.0.0.0/8", { segments: [] })] },
    error: "policies[0].segments must have at least 1 item",
  },
  {
    config: { source: "fd00::1", policies: [policy("10.0.0.0/8", { segments: Array(6).fill("fc00::1") })] },
    error: "policies[0].segments has too many segments; the most is 5, and 6 when reduced",
  },
  {
    config: { source: "fd00::1", policies: [policy("10.0.0.0/8", { hopLimit: 256 })] },
    error: "policies[0].hopLimit must be a whole number from 1 to 255",
  },
  {
    config: { source: "fd00::1", policies: [policy("10.0.0.0/8", { flowLabel: "random" })] },
    error: 'policies[0].flowLabel must be "hash" or "inner"',
  },
  { config: { encapsAt: "forward" }, error: 'encapsAt must be "prerouting" or "postrouting"' },
];
