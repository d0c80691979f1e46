import { fileURLToPath } from "node:url";
import { filler, icmp, ipv4, ipv6, type Layer, loadPlugin, packet, runPcap, sctp, tcp, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { describe, expect, test } from "vitest";

const entry = new URL("../assembly/index.ts", import.meta.url);
const header4 = (dscp: number) => ipv4({ source: "10.1.0.1", destination: "10.2.0.2", dscp, ecn: 1 });
const header6 = (dscp: number) => ipv6({ source: "fd00:1::1", destination: "fd00:2::2", dscp, ecn: 1 });
const to = (destinationPort: number) => ({ sourcePort: 40000, destinationPort });
const rules = [
  { ports: "5060-5061", dscp: 24 },
  { ports: "16384-32767", protocol: "udp", dscp: 46 },
  { ports: 20000, protocol: "udp", dscp: 34 },
  { ports: 179, protocol: "tcp", dscp: 48 },
];

describe("a packet of DSCP 7 leaves with", () => {
  test.each<[number, string, Layer, object?]>([
    [24, "by a port of all protocols: TCP", tcp(to(5060))],
    [24, "UDP", udp(to(5061))],
    [24, "SCTP", sctp(to(5060))],
    [46, "by the first port of a range", udp(to(16384))],
    [46, "the last port of a range", udp(to(32767))],
    [7, "its own behind the range", udp(to(32768))],
    [34, "by the later of two rules", udp(to(20000))],
    [7, "its own, of another protocol", tcp(to(16384))],
    [48, "by its source port", tcp({ sourcePort: 179, destinationPort: 50000 })],
    [24, "by its destination port first", tcp({ sourcePort: 179, destinationPort: 5060 })],
    [7, "its own without ports", icmp({ type: 8 })],
    [10, "the one of all others", tcp(to(80)), { other: 10 }],
    [10, "the one of all others, without ports", icmp({ type: 8 }), { other: 10 }],
    [0, "none", tcp(to(80)), { other: 0 }],
  ])(
    "%i: %s",
    async (dscp, _name, layer, more = {}) => {
      const stage = await loadPlugin(entry, { config: { rules, ...more } });
      const headers = layer.protocol === 1 ? [header4] : [header4, header6];
      for (const header of headers) {
        expect(stage.send(packet(header(7), layer, filler(20)))).toPass(packet(header(dscp), layer, filler(20)));
      }
      expect(stage).toHaveCounter("marked_packets", dscp === 7 ? 0 : headers.length);
    },
    60_000,
  );
});

test("a super-frame is marked, and a partial checksum stays", async () => {
  const stage = await loadPlugin(entry, { config: { rules } });
  const layer = tcp({ ...to(179), checksum: "partial" });
  const sent = packet(header4(0), layer, filler(1500));
  expect(stage.send(sent, { partial: true, gsoSize: 700 })).toPass(packet(header4(48), layer, filler(1500)));
}, 60_000);

test("without a configuration packets keep what they have", async () => {
  expect((await loadPlugin(entry)).send(packet(header4(7), tcp(to(179))))).toLeaveUnchanged();
}, 60_000);

test.each([
  [{ rules: [{ ports: 80, dscp: 64 }] }, "rules[0].dscp"],
  [{ rules: [{ ports: "90-80", dscp: 1 }] }, "rules[0].ports"],
  [{ rules: [{ dscp: 1 }] }, "ports"],
  [{ rules: [{ ports: 80, dscp: 1, protocol: "icmp" }] }, "rules[0].protocol"],
  [{ other: 65 }, "other"],
])(
  "%j is refused",
  async (config, path) => {
    await expect(loadPlugin(entry, { config })).rejects.toThrow(path);
  },
  60_000,
);

test("example.pcap: SIP and RTP are marked", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config: { rules } })).toMatchObject({
    packets: 4,
    verdicts: { pass: 4, drop: 0 },
    counters: { marked_packets: 3 },
  });
}, 60_000);
