import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { fragment, ipv4, ipv6, loadPlugin, NodeStage, packet, runPcap, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { describe, expect, test } from "vitest";
import { address4, address6, isInOne, lastOf, networks, numbers, prefixText, textOf } from "./prefixes.js";

const entry = new URL("../assembly/index.ts", import.meta.url);
const load = (config: object) => loadPlugin(entry, { config: { ...config } });
const ports = udp({ sourcePort: 40000, destinationPort: 9 });
const here = { 4: "198.51.100.1", 6: "fd00::1" };
const from = (family: 4 | 6, source: string, destination = here[family]) =>
  packet(family === 4 ? ipv4({ source, destination }) : ipv6({ source, destination }), ports);

describe("a network", () => {
  const config = { deny: ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"], allow: ["10.1.0.0/16", "2001:db8:1::/48"] };
  test.each<[4 | 6, string, boolean]>([
    [4, "10.0.0.0", true],
    [4, "10.255.255.255", true],
    [4, "11.0.0.0", false],
    [4, "9.255.255.255", false],
    [4, "10.1.2.3", false],
    [4, "192.0.2.7", true],
    [4, "192.0.2.8", false],
    [6, "2001:db8::1", true],
    [6, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true],
    [6, "2001:db9::", false],
    [6, "2001:db8:1::5", false],
    [6, "2001:db8:2::5", true],
  ])(
    "IPv%i: %s is denied: %s",
    async (family, source, isDenied) => {
      const stage = await load(config);
      const result = stage.send(from(family, source));
      if (isDenied) expect(result).toDrop("geo-denied");
      else expect(result).toLeaveUnchanged();
      expect(stage).toHaveCounter("denied_packets", isDenied ? 1 : 0);
    },
    60_000,
  );
});

test("the longer prefix counts, whichever list it is in; the same in both is allowed", async () => {
  const stage = await load({ deny: ["0.0.0.0/0", "10.1.2.0/24", "12.0.0.0/8"], allow: ["10.1.0.0/16", "12.0.0.0/8"] });
  expect(stage.send(from(4, "10.1.2.3"))).toDrop("geo-denied");
  expect(stage.send(from(4, "10.1.3.3"))).toPass();
  expect(stage.send(from(4, "11.0.0.1"))).toDrop("geo-denied");
  expect(stage.send(from(4, "12.0.0.1"))).toPass();
  expect(stage.send(from(6, "2001:db8::1"))).toPass();
}, 60_000);

test("destinations count where the configuration says so", async () => {
  const stage = await load({ deny: ["10.0.0.0/8", "2001:db8::/32"] });
  const to4 = from(4, "198.51.100.1", "10.0.0.1");
  const to6 = from(6, "fd00::1", "2001:db8::1");
  expect(stage.send(to4)).toPass();
  expect(stage.send(to6)).toPass();
  stage.configure({ deny: ["10.0.0.0/8", "2001:db8::/32"], both: true });
  const result = stage.send(to4);
  expect(result).toDrop("geo-denied");
  expect(result).toHaveTraced({ side: 2 });
  expect(stage.send(to6)).toDrop("geo-denied");
}, 60_000);

test("fragments and packets without L4 header have addresses too", async () => {
  const stage = await load({ deny: ["10.0.0.0/8", "2001:db8::/32"] });
  const later4 = ipv4({ source: "10.0.0.1", destination: here[4], fragmentOffset: 8, protocol: 17 });
  expect(stage.send(packet(later4, "payload."))).toDrop("geo-denied");
  const later6 = packet(ipv6({ source: "2001:db8::1", destination: here[6] }), fragment({ offset: 8 }), "payload.");
  expect(stage.send(later6)).toDrop("geo-denied");
}, 60_000);

test("a new list takes the old one's place at once; without one everything passes", async () => {
  const stage = await loadPlugin(entry);
  expect(stage.send(from(4, "10.0.0.1"))).toPass();
  stage.configure({ deny: ["10.0.0.0/8"] });
  expect(stage.send(from(4, "10.0.0.1"))).toDrop("geo-denied");
  stage.configure({ deny: ["11.0.0.0/8"] });
  expect(stage.send(from(4, "10.0.0.1"))).toPass();
}, 60_000);

test("100,000 prefixes of both families agree with a search of the list", async () => {
  const list = networks(20260101, 70_000, 30_000);
  const config = { deny: list.map(prefixText) };
  const { wasm } = await buildPlugin({ entry: fileURLToPath(entry) });
  const started = performance.now();
  const segment = new NodeStage(wasm).build(JSON.stringify(config));
  const milliseconds = performance.now() - started;
  // What was not used of the segment is zero.
  const used = segment.findLastIndex((byte) => byte !== 0) + 1;
  console.log(`100,000 prefixes: ${milliseconds.toFixed(0)} ms, ${used} bytes of segment`);
  expect(milliseconds).toBeLessThan(10_000);
  expect(used).toBeLessThan(10_000_000);

  const stage = await load(config);
  const next = numbers(7);
  const samples: [4 | 6, bigint][] = [];
  for (let i = 0; i < 100; i++) {
    samples.push([4, address4(next)], [6, address6(next)]);
    // The edges of a prefix, and the addresses beside them.
    const network = list[next() % list.length];
    if (network === undefined) throw new Error("no such network");
    const { family, address } = network;
    samples.push([family, address], [family, address - 1n], [family, lastOf(network)], [family, lastOf(network) + 1n]);
  }
  let denied = 0;
  for (const [family, address] of samples) {
    const isDenied = isInOne(list, family, address);
    denied += Number(isDenied);
    const { verdict } = stage.send(from(family, textOf(family, address)), { flow: false });
    expect(verdict, textOf(family, address)).toBe(isDenied ? "drop" : "pass");
  }
  expect(denied).toBeGreaterThan(200);
  expect(denied).toBeLessThan(samples.length - 50);
}, 120_000);

test("a list that is too long for the segment is refused, and the old one stays", async () => {
  const stage = await load({ deny: ["10.0.0.0/8"] });
  expect(() => stage.configure({ deny: networks(5, 0, 400_000).map(prefixText) })).toThrow();
  expect(stage.send(from(4, "10.0.0.1"))).toDrop("geo-denied");
}, 120_000);

test.each([
  [{ deny: ["10.0.0.0/33"] }, "deny[0]"],
  [{ deny: ["10.0.0.0/8", "2001:db8::/129"] }, "deny[1]"],
  [{ allow: ["DE"] }, "allow[0]"],
  [{ both: "yes" }, "both"],
])(
  "%j is refused",
  async (config, path) => {
    await expect(load(config)).rejects.toThrow(path);
  },
  60_000,
);

test("example.pcap: two of five packets are denied", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  const config = { deny: ["203.0.113.0/24", "2001:db8::/32"], allow: ["2001:db8:1::/48"] };
  expect(await runPcap({ plugin: entry, in: capture, config })).toMatchObject({
    packets: 5,
    verdicts: { pass: 3, drop: 2 },
    reasons: { "geo-denied": 2 },
    counters: { denied_packets: 2 },
  });
}, 60_000);
