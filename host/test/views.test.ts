import { ipv4, ipv6, packetHex, udp } from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";
import { durationMs, sizeBytes } from "../src/cli/arguments.js";
import { clock, rate, wrap } from "../src/cli/output.js";
import { changedFields, frameSummary, packetSummary, rewritten } from "../src/cli/packets.js";
import { clusterPlugin, clusterPluginText } from "../src/cli/views/cluster-plugin.js";
import { dropsText, ratedDrops } from "../src/cli/views/drops.js";
import { flowsText, protocolNumber, translation } from "../src/cli/views/flows.js";
import { metricsText } from "../src/cli/views/metrics.js";
import { pluginText } from "../src/cli/views/plugin.js";
import { hotPlaces, profileText } from "../src/cli/views/profile.js";
import { traceText, withFields } from "../src/cli/views/trace.js";
import { trapLines } from "../src/cli/views/traps.js";
import { digest, FULL_STATUS } from "./helpers.js";
import { DROPS, FLOWS, flow, NOON, PROFILE, REPLY, SYN, TRACED } from "./samples.js";

const NARROW = 80;
const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
describe("arguments", () => {
  test.each([
    ["500ms", 500],
    ["10s", 10_000],
    ["1.5m", 90_000],
    ["2h", 7_200_000],
    ["3", 3000],
    ["0.001", 1],
  ])("a time of %s is %d ms", (text, ms) => expect(durationMs(text)).toBe(ms));
  test.each(["", "0", "0.1ms", "-1s", "1 s", "1d", "s", "1e3", "600h", "99999999999"])("no time: %j", (text) => {
    expect(() => durationMs(text)).toThrow(
      `Found "${text}"; allowed: a time such as 500ms, 10s, 2m or 1h, up to 24 days.`,
    );
  });
  test.each([
    ["96", 96],
    ["96B", 96],
    ["2KiB", 2048],
    ["1MiB", 1_048_576],
  ])("a size of %s is %d bytes", (text, bytes) => expect(sizeBytes(1, 1_048_576)(text)).toBe(bytes));
  test.each(["", "0", "2MiB", "1KB", "1.5KiB", "-1"])("no size: %j", (text) => {
    expect(() => sizeBytes(1, 1_048_576)(text)).toThrow(`Found "${text}"; allowed: 1 to 1048576 bytes`);
  });
  test.each([
    ["tcp", 6],
    ["ICMPv6", 58],
    ["47", 47],
    ["256", undefined],
    ["tpc", undefined],
    ["-1", undefined],
  ])("protocol %s is %s", (text, number) => expect(protocolNumber(text)).toBe(number));
});

describe("text", () => {
  test.each([
    [0, "0"],
    [0.04, "0.0"],
    [9.94, "9.9"],
    [9.96, "10"],
    [1_234_567, "1.23M"],
  ])("a rate of %d is %s", (value, text) => expect(rate(value)).toBe(text));
  test("a time of day has milliseconds", () => expect(clock(NOON)).toBe("12:00:01.250"));
  test.each([
    ["short", "short"],
    ["a line of words", "a line\n  of\n  words"],
    ["  kept  gaps", "  kept  gaps"],
    ["anunbreakableword x", "anunbreakableword\n  x"],
  ])("%j is wrapped between words", (text, wrapped) => expect(wrap(text, 2, 7)).toBe(wrapped));
});

const V6 = packetHex(
  ipv6({ source: "fd00::1", destination: "fd00::2" }),
  udp({ sourcePort: 1, destinationPort: 53 }),
  "x",
);

describe("packets in a line", () => {
  test.each([
    [SYN, "10.1.1.10:43210 > 10.96.0.10:80 TCP"],
    [V6, "[fd00::1]:1 > [fd00::2]:53 UDP"],
    [
      packetHex(ipv4({ source: "10.0.0.1", destination: "10.0.0.2", protocol: 47 }), "x"),
      "10.0.0.1 > 10.0.0.2 protocol 47",
    ],
    [SYN.slice(0, 40), "10.1.1.10 > 10.96.0.10 protocol 6"],
    ["45", "no IP packet"],
  ])("%s", (hex, text) => expect(packetSummary(hex)).toBe(text));
  test.each([
    [`${"00".repeat(12)}0800${SYN}`, "10.1.1.10:43210 > 10.96.0.10:80 TCP"],
    [`${"00".repeat(12)}0806${"00".repeat(28)}`, "ARP"],
    [`${"00".repeat(12)}88cc`, "ethertype 0x88cc"],
  ])("frame %s", (hex, text) => expect(frameSummary(Buffer.from(hex, "hex"))).toBe(text));
});

const change = (field: string, before: string | null, after: string | null) => ({ field, before, after });

describe("what a rewrite changed", () => {
  test.each([
    [
      "an address",
      [{ offset: 16, before: "0a60000a", after: "0a000007" }],
      [change("ipv4.destination", "10.96.0.10", "10.0.0.7")],
    ],
    [
      "a port and the hop limit",
      [
        { offset: 8, before: "40", after: "3f" },
        { offset: 22, before: "0050", after: "1f90" },
      ],
      [change("ipv4.ttl", "64", "63"), change("tcp.destinationPort", "80", "8080")],
    ],
    ["nothing", [], []],
  ])("%s", (_name, rewrites, changes) => {
    expect(changedFields(SYN, rewritten(SYN, rewrites))).toEqual(changes);
  });

  test("a pushed header makes the packet one inside it", () => {
    const outer = packetHex(
      ipv6({ source: "fd00::1", destination: "fd00::2", nextHeader: 4, payloadLength: SYN.length / 2 }),
    );
    const fields = changedFields(SYN, rewritten(SYN, [{ offset: 0, before: "", after: outer }]));
    expect(fields).toContainEqual(change("ipv6.destination", null, "fd00::2"));
    expect(fields).toContainEqual(change("inner.ipv4.source", null, "10.1.1.10"));
  });
});

describe("a traced packet", () => {
  test("shows its way in 80 columns", () => {
    const text = traceText(withFields(TRACED), false);
    expect(text).toMatchInlineSnapshot(`
      "packet 1  12:00:01.250  worker 0  10.1.1.10:43210 > 10.96.0.10:80 TCP  40 bytes
           0.0 us  rx           port pod-1
           0.4 us  conntrack    new, original, flow 17
           1.2 us  prerouting   nat  pass  31 cycles/pkt
                                ipv4.destination 10.96.0.10 -> 10.0.0.7
                                tcp.destinationPort 80 -> 8080
                                backend = 3
           2.0 us  route        10.0.0.0/24 by port wire next hop 192.0.2.1
           2.5 us  forward      policy  drop
           2.6 us  drop         policy by stage policy"
    `);
    expect(widest(text)).toBeLessThanOrEqual(NARROW);
  });

  test("shows checksums and bytes when asked to", () => {
    const text = traceText(withFields(TRACED), true);
    expect(text).toContain("ipv4.checksum ");
    expect(text).toContain("  0000  4500");
    expect(widest(text)).toBeLessThanOrEqual(NARROW);
  });

  test("has the fields for programs too, those of a later step on top of the earlier ones", () => {
    const [, , nat, , policy] = withFields(TRACED).steps;
    expect(nat?.fields.map(({ field }) => field)).toEqual(["ipv4.checksum", "ipv4.destination", "tcp.destinationPort"]);
    expect(policy?.fields).toEqual([]);
  });
});

describe("drops", () => {
  test("are shown with what they mean and the last packet, the most frequent first", () => {
    expect(dropsText(DROPS, false)).toMatchInlineSnapshot(`
      " PACKETS  REASON
         1.23M  policy by stage policy
                A stage said so, by a policy
                last 12:00:01.250 in by pod-1: 10.1.1.10:43210 > 10.96.0.10:80 TCP  40
                  bytes
            12  no-route
                No route to the destination"
    `);
    expect(dropsText(ratedDrops(DROPS, DROPS, 1000), true)).toMatchInlineSnapshot(`
      " PACKETS    RATE/S  REASON
         1.23M         0  policy by stage policy
                A stage said so, by a policy
                last 12:00:01.250 in by pod-1: 10.1.1.10:43210 > 10.96.0.10:80 TCP  40
                  bytes
                  0000  4500 0028 0000 0000 4006 655c 0a01 010a
                  0010  0a60 000a a8ca 0050 0000 0000 0000 0000
                  0020  5010 ffff f145 0000
            12         0  no-route
                No route to the destination"
    `);
    expect(dropsText([], false)).toBe("no drops");
  });

  test.each([
    ["grown", 10, 2],
    ["new", undefined, 12],
    ["started anew", 20, 12],
  ])("of a count that has %s in a second", (_name, packets, expected) => {
    const [drop] = DROPS;
    if (drop === undefined) throw new Error("no drop");
    const before = packets === undefined ? [] : [{ ...drop, packets }];
    expect(ratedDrops(before, [drop], 1000)).toEqual([{ ...drop, rate: expected }]);
  });
});

test("flows are shown with where they go and when they expire", () => {
  const text = flowsText(FLOWS, true);
  expect(text).toMatchInlineSnapshot(`
    "PROTO   STATE           IDLE  EXPIRES  FLOW
    tcp     established       3s   4d 23h  10.1.1.10:43210 > 10.96.0.10:80
    tcp     established       3s   4d 23h  10.1.1.10:43210 > 10.96.0.10:80
      leaves as 10.1.1.10:43210 > 10.0.0.7:8080
      nat: 0a0000070a0000070a0000070a0000070a0000070a0000070a0000070a000007
           0a0000070a000007
      policy: 01
    icmp    new               0s      30s  10.1.1.10 > 10.1.1.11 id 77
    udp     established       3s   4d 23h
      [fd00:1:1::aaaa:bbbb]:43210 > [fd00:1:2::cccc:dddd]:443"
  `);
  expect(widest(text)).toBeLessThanOrEqual(NARROW);
  expect(flowsText(FLOWS, false)).not.toContain("nat:");
  expect(translation(flow())).toBeUndefined();
  expect(translation(flow({ reply: REPLY }))).toEqual({
    source: "10.1.1.10",
    sourcePort: 43210,
    destination: "10.0.0.7",
    destinationPort: 8080,
  });
});

describe("a profile", () => {
  test("names the hot functions with bars", () => {
    const text = profileText("nat", PROFILE, false);
    expect(text).toMatchInlineSnapshot(`
      "plugin nat: 1000 of 5000 samples of the workers (20.0%) were in it

       SHARE                    FUNCTION
       60.0%  ##########        translate  assembly/translate.ts:28
       25.0%  ####              select  assembly/maglev.ts:12
       15.0%  ##                f3"
    `);
    expect(widest(text)).toBeLessThanOrEqual(NARROW);
  });

  test("goes by line when asked to, the library's as the plugin's own", () => {
    const lines = hotPlaces(PROFILE, true).map(
      (place) => `${place.file}:${place.line} ${place.function} ${place.share}`,
    );
    expect(lines).toEqual([
      "assembly/translate.ts:30 translate 0.4",
      "assembly/maglev.ts:12 select 0.25",
      "assembly/translate.ts:28 translate 0.2",
      ":0 f3 0.15",
    ]);
  });

  test("without samples says what to do", () => {
    expect(profileText("nat", { ...PROFILE, inPlugin: 0, places: [] }, false)).toMatch(
      /no packets.*longer --duration$/,
    );
  });
});

test("a trap is shown down to the plugin's own code, or with all frames and the packet", () => {
  const faulty = FULL_STATUS.stages[1];
  if (faulty === undefined) throw new Error("no stage");
  expect(trapLines(faulty, true).join("\n")).toMatchInlineSnapshot(`
    "faulty 0.1.0 failed last 03:04:05.678 in postrouting, worker 1:
      memory-out-of-bounds: a load outside of memory
      at assembly/index.ts:13:67 in process (from ~sdk/packet.ts:98:12)
      in export:assembly/index/process at offset -1
      packet 10.0.0.1:1000 > 10.0.0.2:667 UDP
        0000  4500 001c 0000 4000 4011 b6cf 0a00 0001
        0010  0a00 0002 03e8 029b 0008 0000"
  `);
  expect(trapLines({ ...faulty, lastTrap: null }, false)).toEqual([`faulty failed last: ${faulty.lastFailure}`]);
  expect(trapLines({ ...faulty, lastTrap: null, lastFailure: "" }, false)).toEqual([]);
});

test("all about a plugin", () => {
  const [policy] = FULL_STATUS.stages;
  const revision = {
    number: 3,
    version: "1.2.3",
    digest: digest("a"),
    origin: "",
    appliedAt: "2024-01-02T03:04:05.678Z",
  };
  const plugin = {
    ...{
      name: "policy",
      version: "1.2.3",
      digest: digest("a"),
      origin: "/etc/sluice/policy.ts",
      hooks: ["forward", "input"],
    },
    ...{ failure: "FailClosed", budgetUs: 5000, scope: ["pod-1"], revisions: [revision] },
  };
  expect(pluginText(plugin, policy, false)).toMatchInlineSnapshot(`
    "plugin      policy 1.2.3
    digest      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    from        /etc/sluice/policy.ts
    hooks       forward, input
    on failure  FailClosed, after at most 5000 us a call
    sees        packets of pod-1
    revisions   3 (1.2.3, 2024-01-02T03:04:05.678Z)
    state       active
    packets     1000, 31.1 cycles each
    settled     9000 passed without it, their flows settled
    drops       policy 5
    sent        3 of its own, 2 copies
    failures    0, invalid outputs 0

    STAGE   COUNTER         VALUE
    policy  denied_packets      5

    STAGE   GAUGE  VALUE
    policy  rules     -2

    policy packet_bytes: 10 values  mean 500.0
    UP TO  COUNT
       64      3  ###############
     1500      6  ##############################
    above      1  #####"
  `);
  expect(pluginText({ ...plugin, scope: [] }, undefined, false)).toContain("sees        all packets");
});

describe("a plugin of a cluster's nodes", () => {
  const [stage] = FULL_STATUS.stages;
  const [failing] = FULL_STATUS.stages.map((each) => ({ ...each, failures: 2, invalidOutputs: 1 }));
  const plugin = {
    ...{ name: "policy", version: "1.2.3", digest: digest("a"), origin: "inline", hooks: ["forward"] },
    ...{ failure: "FailClosed", budgetUs: 5000, scope: ["one.1"], revisions: [] },
  };
  const elsewhere = { ...plugin, scope: ["far.2"] };

  test("is told once, with a line of each node, where they run the same", () => {
    const shown = clusterPlugin([
      { node: "node1", plugin, stage },
      { node: "node2", plugin: elsewhere, stage: undefined },
      { node: "node3", plugin, stage: failing },
    ]);
    expect(shown.nodes.map(({ node, scope }) => [node, scope])).toEqual([
      ["node1", ["one.1"]],
      ["node2", ["far.2"]],
      ["node3", ["one.1"]],
    ]);
    expect(clusterPluginText(shown)).toMatchInlineSnapshot(`
      "plugin      policy 1.2.3
      digest      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      from        inline
      hooks       forward
      on failure  FailClosed, after at most 5000 us a call

      NODE   STATE        PACKETS  CYCLES/PKT  DROPS  FAILURES
      node1  active          1000        31.1      5         0
      node2  not running
      node3  active          1000        31.1      5         3"
    `);
  });

  test("that is another one on some is asked for by node", () => {
    const other = { ...elsewhere, version: "2.0.0", digest: digest("b") };
    expect(() =>
      clusterPlugin([
        { node: "node1", plugin, stage },
        { node: "node2", plugin: other, stage },
      ]),
    ).toThrow(
      /^ambiguous-node policy: it is not the same on all nodes: node1 1\.2\.3 \(a{12}\), node2 2\.0\.0 \(b{12}\); choose one with --name$/,
    );
  });
});

test("counters, gauges and histograms", () => {
  expect(metricsText(FULL_STATUS.stages)).toMatchInlineSnapshot(`
    "STAGE   COUNTER         VALUE
    policy  denied_packets      5

    STAGE   GAUGE  VALUE
    policy  rules     -2

    policy packet_bytes: 10 values  mean 500.0
    UP TO  COUNT
       64      3  ###############
     1500      6  ##############################
    above      1  #####"
  `);
});
