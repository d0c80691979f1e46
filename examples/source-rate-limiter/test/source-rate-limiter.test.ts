import { fileURLToPath } from "node:url";
import { filler, ipv4, ipv6, loadPlugin, packet, runPcap, type Stage, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { describe, expect, test } from "vitest";

const entry = new URL("../assembly/index.ts", import.meta.url);
const ports = udp({ sourcePort: 40000, destinationPort: 9 });
/** `length`: in bytes from the L3 header. */
const from4 = (source: string, length = 100) =>
  packet(ipv4({ source, destination: "198.51.100.1" }), ports, filler(length - 28));
const from6 = (source: string, length = 100) =>
  packet(ipv6({ source, destination: "2001:db8:2::1" }), ports, filler(length - 48));

/** 1000 bytes a second, 500 at once. */
const slow = { rate: 1000, burst: 500 };
const load = (config: object) => loadPlugin(entry, { config: { ...config } });
/** How many of `count` equal packets in one burst pass. */
const passed = (stage: Stage, sent: Uint8Array, count: number) =>
  stage.burst(Array.from({ length: count }, () => sent)).filter(({ verdict }) => verdict === "pass").length;

describe("a source", () => {
  test("may send its burst, then at its rate", async () => {
    const stage = await load(slow);
    expect(passed(stage, from4("10.0.0.1"), 8)).toBe(5);
    expect(stage.send(from4("10.0.0.1"))).toDrop("rate-exceeded");
    stage.advance(99);
    expect(stage.send(from4("10.0.0.1"))).toDrop("rate-exceeded");
    stage.advance(1);
    expect(stage.send(from4("10.0.0.1"))).toLeaveUnchanged();
    expect(stage).toHaveCounter("limited_packets", 5);
  }, 60_000);

  test("has its burst again after a pause, and no more than that", async () => {
    const stage = await load(slow);
    passed(stage, from4("10.0.0.1"), 5);
    stage.advance(3_600_000);
    expect(passed(stage, from4("10.0.0.1"), 8)).toBe(5);
  }, 60_000);

  test("does not pay for what was dropped", async () => {
    const stage = await load(slow);
    passed(stage, from4("10.0.0.1"), 50);
    stage.advance(100);
    expect(stage.send(from4("10.0.0.1"))).toPass();
  }, 60_000);

  test("has a bucket of its own", async () => {
    const stage = await load(slow);
    expect(passed(stage, from4("10.0.0.1"), 8)).toBe(5);
    expect(passed(stage, from4("10.0.0.2"), 8)).toBe(5);
    expect(passed(stage, from6("2001:db8::1"), 8)).toBe(5);
    expect(stage).toHaveGauge("sources", 3);
  }, 60_000);

  test("may send smaller packets where a larger one is too large", async () => {
    const stage = await load(slow);
    passed(stage, from4("10.0.0.1"), 4);
    expect(stage.send(from4("10.0.0.1", 101))).toDrop("rate-exceeded");
    expect(stage.send(from4("10.0.0.1", 100))).toPass();
  }, 60_000);

  test("never gets a packet above its burst through", async () => {
    const stage = await load(slow);
    expect(stage.send(from4("10.0.0.1", 501))).toDrop("rate-exceeded");
    expect(stage.send(from4("10.0.0.1", 500))).toPass();
  }, 60_000);
});

describe("IPv6 addresses are one source", () => {
  test.each([
    [64, "2001:db8::1", "2001:db8::ffff:1", true],
    [64, "2001:db8:0:1::1", "2001:db8:0:2::1", false],
    [48, "2001:db8:0:1::1", "2001:db8:0:2::1", true],
    [128, "2001:db8::1", "2001:db8::2", false],
    [127, "2001:db8::2", "2001:db8::3", true],
    [1, "2001:db8::1", "7fff::1", true],
    [1, "2001:db8::1", "fd00::1", false],
  ])(
    "of the same /%i: %s and %s: %s",
    async (ipv6PrefixLength, one, other, isSame) => {
      const stage = await load({ ...slow, ipv6PrefixLength });
      passed(stage, from6(one), 5);
      expect(passed(stage, from6(other), 5)).toBe(isSame ? 0 : 5);
      expect(stage).toHaveGauge("sources", isSame ? 1 : 2);
    },
    60_000,
  );
});

test("exempt networks have no limit and no bucket", async () => {
  const stage = await load({ ...slow, exempt: ["10.0.0.0/8", "2001:db8::/32"] });
  expect(passed(stage, from4("10.9.9.9"), 50)).toBe(50);
  expect(passed(stage, from6("2001:db8::1"), 50)).toBe(50);
  expect(passed(stage, from4("11.0.0.1"), 50)).toBe(5);
  expect(stage).toHaveGauge("sources", 1);
}, 60_000);

test("counts packets where the configuration says so, fragments and super-frames as one", async () => {
  const stage = await load({ rate: 10, burst: 3, unit: "packets" });
  const fragment = packet(
    ipv4({ source: "10.0.0.1", destination: "198.51.100.1", fragmentOffset: 8, protocol: 17 }),
    filler(64),
  );
  expect(stage.send(fragment)).toPass();
  expect(stage.send(from4("10.0.0.1", 2000), { gsoSize: 500 })).toPass();
  expect(stage.send(from4("10.0.0.1", 28))).toPass();
  expect(stage.send(from4("10.0.0.1", 28))).toDrop("rate-exceeded");
}, 60_000);

test("counts all bytes of a super-frame", async () => {
  const stage = await load({ rate: 1000, burst: 2000 });
  expect(stage.send(from4("10.0.0.1", 1950), { gsoSize: 500 })).toPass();
  expect(stage.send(from4("10.0.0.1", 100))).toDrop("rate-exceeded");
}, 60_000);

test("with 65536 sources the table is full: the one unseen for longest begins anew, the others do not", async () => {
  const stage = await load({ rate: 1, burst: 1, unit: "packets" });
  const address = (i: number) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  for (let first = 0; first < 65_536; first += 256) {
    stage.burst(
      Array.from({ length: 256 }, (_, i) => from4(address(first + i), 28)),
      { flow: false },
    );
  }
  expect(stage.send(from4(address(1), 28))).toDrop("rate-exceeded");
  expect(stage.send(from4("11.0.0.1", 28))).toPass();
  expect(stage).toHaveGauge("sources", 65_536);
  expect(stage.send(from4(address(0), 28))).toPass();
  expect(stage.send(from4(address(1), 28))).toDrop("rate-exceeded");
}, 120_000);

test("a new configuration holds from the next packet on", async () => {
  const stage = await load(slow);
  passed(stage, from4("10.0.0.1"), 5);
  stage.configure({ rate: 1000, burst: 1000 });
  expect(passed(stage, from4("10.0.0.1"), 8)).toBe(5);
}, 60_000);

test("without a configuration everything passes", async () => {
  const stage = await loadPlugin(entry);
  expect(passed(stage, from4("10.0.0.1"), 200)).toBe(200);
}, 60_000);

test.each([
  [{}, "rate"],
  [{ rate: 0, burst: 1 }, "rate"],
  [{ rate: 1 }, "burst"],
  [{ rate: 1, burst: 1, unit: "bits" }, "unit"],
  [{ rate: 1, burst: 1, ipv6PrefixLength: 129 }, "ipv6PrefixLength"],
  [{ rate: 1, burst: 1, exempt: ["10.0.0.0/33"] }, "exempt[0]"],
])(
  "%j is refused",
  async (config, path) => {
    await expect(load(config)).rejects.toThrow(path);
  },
  60_000,
);

test("example.pcap: a source over its rate, others not", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  const config = { rate: 1000, burst: 500 };
  expect(await runPcap({ plugin: entry, in: capture, config })).toMatchObject({
    packets: 19,
    verdicts: { pass: 8, drop: 11 },
    reasons: { "rate-exceeded": 11 },
    gauges: { sources: 3 },
  });
}, 60_000);
