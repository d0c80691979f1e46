import { fileURLToPath } from "node:url";
import { filler, fragmentsOf, icmp, ipv4, ipv6, loadPlugin, packet, runPcap, tcp, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { describe, expect, test } from "vitest";

const entry = new URL("../assembly/index.ts", import.meta.url);
const load = (config: object) => loadPlugin(entry, { config: { ...config } });
const web = tcp({ sourcePort: 40000, destinationPort: 80 });
const dns = udp({ sourcePort: 40000, destinationPort: 53 });
const out4 = ipv4({ source: "10.0.0.1", destination: "198.51.100.1" });
const back4 = ipv4({ source: "198.51.100.1", destination: "10.0.0.1" });
const other4 = ipv4({ source: "11.0.0.1", destination: "198.51.100.1" });
const out6 = ipv6({ source: "2001:db8::1", destination: "2001:db8:9::1" });
const other6 = ipv6({ source: "fd00::1", destination: "fd00::2" });

const networks = { networks: ["10.0.0.0/8", "2001:db8::/48"] };
describe("what is copied", () => {
  test.each<[string, object, Uint8Array, boolean]>([
    ["everything without a filter", {}, packet(other4, web), true],
    ["IPv4 from a network", networks, packet(out4, web), true],
    ["IPv4 to a network", networks, packet(back4, web), true],
    ["IPv4 of none", networks, packet(other4, web), false],
    ["IPv6 from a network", networks, packet(out6, web), true],
    ["IPv6 of none", networks, packet(other6, web), false],
    ["a destination port", { ports: [80, "8000-8099"] }, packet(out4, web), true],
    ["a source port", { ports: ["39999-40000"] }, packet(out6, web), true],
    ["another port", { ports: [443] }, packet(out4, web), false],
    ["what has no port, with ports asked for", { ports: [80] }, packet(out4, icmp({ type: 8 })), false],
    ["a protocol", { protocol: "udp" }, packet(out6, dns), true],
    ["another protocol", { protocol: "udp" }, packet(out6, web), false],
    ["all of the filter", { ...networks, ports: [80], protocol: "tcp" }, packet(out4, web), true],
    ["not all of the filter", { ...networks, ports: [53], protocol: "tcp" }, packet(out4, dns), false],
  ])(
    "%s",
    async (_name, config, sent, isCopied) => {
      const stage = await load({ port: 3, ...config });
      const result = stage.send(sent);
      expect(result).toLeaveUnchanged();
      expect(result.mirrored.map(({ port }) => port)).toEqual(isCopied ? [3] : []);
      if (isCopied) expect(result).toHaveMirrored(3, sent);
      expect(stage).toHaveCounter("mirrored_packets", isCopied ? 1 : 0);
    },
    60_000,
  );
});

test("later fragments have no ports: only a filter without ports copies them", async () => {
  const [first, later] = fragmentsOf(packet(out4, dns, filler(200)), { mtu: 100 }) as [Uint8Array, Uint8Array];
  const stage = await load({ port: 3, ports: [53] });
  expect(stage.send(first)).toHaveMirrored(3, first);
  expect(stage.send(later).mirrored).toEqual([]);
  stage.configure({ port: 3, ...networks });
  expect(stage.send(later)).toHaveMirrored(3, later);
}, 60_000);

test("a copy has the first bytes only, the packet has all", async () => {
  const stage = await load({ port: 3, snapLength: 64 });
  const sent = packet(out4, web, filler(1000));
  const result = stage.send(sent);
  expect(result).toLeaveUnchanged();
  expect(result).toHaveMirrored(3, sent.subarray(0, 64));
  expect(stage.send(packet(out4, web))).toHaveMirrored(3, packet(out4, web));
}, 60_000);

test("one in 4 flows is copied, with both of its directions", async () => {
  const stage = await load({ port: 3, oneIn: 4 });
  let copied = 0;
  for (let sourcePort = 1; sourcePort <= 400; sourcePort++) {
    const there = stage.send(packet(out4, udp({ sourcePort, destinationPort: 53 })));
    const back = stage.send(packet(back4, udp({ sourcePort: 53, destinationPort: sourcePort })));
    expect(back.mirrored.length).toBe(there.mirrored.length);
    copied += there.mirrored.length;
  }
  expect(copied).toBeGreaterThan(60);
  expect(copied).toBeLessThan(140);
}, 60_000);

test("a port that is not there is counted, and the packet passes", async () => {
  const stage = await load({ port: 99 });
  expect(stage.send(packet(out4, web))).toLeaveUnchanged();
  expect(stage).toHaveCounter("failed_copies", 1);
  expect(stage).toHaveCounter("mirrored_packets", 0);
}, 60_000);

test("without a configuration nothing is copied", async () => {
  const stage = await loadPlugin(entry);
  expect(stage.send(packet(out4, web)).mirrored).toEqual([]);
}, 60_000);

test.each([
  [{}, "port"],
  [{ port: 65536 }, "port"],
  [{ port: 3, networks: ["10.0.0.0/33"] }, "networks[0]"],
  [{ port: 3, ports: ["90-80"] }, "ports[0]"],
  [{ port: 3, protocol: "icmp" }, "protocol"],
  [{ port: 3, oneIn: 0 }, "oneIn"],
])(
  "%j is refused",
  async (config, path) => {
    await expect(load(config)).rejects.toThrow(path);
  },
  60_000,
);

test("example.pcap: the web packets of one network", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  const config = { port: 3, networks: ["10.0.0.0/8", "2001:db8::/32"], ports: [80], snapLength: 64 };
  expect(await runPcap({ plugin: entry, in: capture, config })).toMatchObject({
    packets: 6,
    verdicts: { pass: 6, drop: 0 },
    mirrored: 3,
    counters: { mirrored_packets: 3, failed_copies: 0 },
  });
}, 60_000);
