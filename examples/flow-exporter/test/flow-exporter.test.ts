import { fileURLToPath } from "node:url";
import { filler, hex, icmp, ipv4, ipv6, loadPlugin, packet, runPcap, type Stage, tcp, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";
import { Collector } from "./ipfix.js";

const entry = new URL("../assembly/index.ts", import.meta.url);
const config = {
  collector: "192.0.2.9",
  source: "192.0.2.1",
  domain: 7,
  sampling: 1,
  idleSeconds: 5,
  activeSeconds: 20,
  templateSeconds: 60,
};
const ends4 = { source: "10.1.0.1", destination: "10.2.0.2" };
const ends6 = { source: "2001:db8:1::1", destination: "2001:db8:2::2" };
/** 100 bytes from the L3 header. */
const flow4 = (sourcePort: number, flags = "A", dscp = 0) =>
  packet(ipv4({ ...ends4, dscp }), tcp({ sourcePort, destinationPort: 443, flags }), filler(60));
const flow6 = (sourcePort: number) => packet(ipv6(ends6), udp({ sourcePort, destinationPort: 443 }), filler(52));
/** Belongs to no flow of interest: lets the stage see that time has passed. */
const tick = packet(ipv4({ source: "10.9.9.9", destination: "10.9.9.8" }), icmp({ type: 8 }));

/** Lets two seconds pass with bursts in them: the stage looks through its whole cache, and what waits is sent. */
function sweep(stage: Stage): void {
  for (let i = 0; i < 70; i++) stage.advance(32).send(tick);
}
/** All messages, and the flow records without those of `tick`. */
function collected(stage: Stage) {
  const collector = new Collector();
  const messages = stage.emitted.map((each) => collector.read(each));
  const flows = messages.flatMap(({ records }) => records).filter(({ set, fields }) => set !== 258 && fields[4] !== 1n);
  return { messages, flows };
}

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config });
}, 60_000);

describe("messages, byte by byte", () => {
  /** The harness's time of day at the start, in ms. */
  const start = 1_700_000_000_000;
  const header = (length: number, atSeconds: number, sequence: number) =>
    `000a ${word(length, 4)} ${word(start / 1000 + atSeconds, 8)} ${word(sequence, 8)} 00000007`;
  const word = (value: number | bigint, digits: number) => value.toString(16).padStart(digits, "0");
  const common = `0007 0002 000b 0002 0004 0001 0005 0001 0006 0001 000a 0004 000e 0004
    0002 0008 0001 0008 0098 0008 0099 0008 0088 0001`;
  const wrap = (bytes: string) =>
    packet(
      ipv4({ source: "192.0.2.1", destination: "192.0.2.9", dontFragment: true }),
      udp({ sourcePort: 4739, destinationPort: 4739 }),
      hex(bytes),
    );

  test("templates and sampling come first, then the flows of both families", () => {
    stage.burst([flow4(1000, "S", 10), flow4(1000, "A", 10), flow6(2000)], { inPort: 3, outPort: 4 });
    stage.advance(5000);
    sweep(stage);
    const times = `${word(start, 16)} ${word(start, 16)} 01`;
    expect(stage).toHaveEmitted(
      wrap(`${header(186, 6, 0)}
        0002 007c
        0100 000e 0008 0004 000c 0004 ${common}
        0101 000e 001b 0010 001c 0010 ${common}
        0003 001c 0102 0004 0001 0095 0004 0130 0002 0131 0004 0132 0004 0000
        0102 0012 00000007 0001 00000001 00000000`),
      wrap(`${header(160, 6, 1)}
        0100 003c 0a010001 0a020002 03e8 01bb 06 28 12 00000003 00000004
        0000000000000002 00000000000000c8 ${times}
        0101 0054 20010db8000100000000000000000001 20010db8000200000000000000000002 07d0 01bb 11 00 00 00000003 00000004
        0000000000000001 0000000000000064 ${times}`),
    );
    expect(stage).toHaveCounter("messages", 2);
  });
});

describe("a flow is reported", () => {
  test("when it is idle", () => {
    stage.send(flow4(1000));
    stage.advance(2000);
    sweep(stage);
    expect(collected(stage).flows).toEqual([]);
    stage.advance(2000);
    sweep(stage);
    expect(collected(stage).flows).toMatchObject([{ set: 256, fields: { 2: 1n, 1: 100n, 7: 1000n, 136: 1n } }]);
  });

  test("from time to time while it goes on, and each packet once", () => {
    for (let i = 0; i < 24; i++) {
      stage.send(flow4(1000));
      sweep(stage);
    }
    stage.advance(5000);
    sweep(stage);
    const fields = collected(stage).flows.map((flow) => flow.fields);
    expect(fields.map((each) => each[136])).toEqual([2n, 2n, 1n]);
    expect(fields.reduce((sum, each) => sum + (each[2] ?? 0n), 0n)).toBe(24n);
    const times = fields.flatMap((each) => [each[152] ?? 0n, each[153] ?? 0n]);
    expect(times).toEqual(times.toSorted((a, b) => Number(a - b)));
  });

  test("in each direction by itself", () => {
    stage.send(flow4(1000));
    stage.send(
      packet(
        ipv4({ source: ends4.destination, destination: ends4.source }),
        tcp({ sourcePort: 443, destinationPort: 1000 }),
      ),
    );
    stage.advance(5000);
    sweep(stage);
    const ports = collected(stage).flows.map(({ fields }) => `${fields[7]} to ${fields[11]}`);
    expect(ports.sort()).toEqual(["1000 to 443", "443 to 1000"]);
  });

  test("without ports where there are none, and a super-frame as one packet of its bytes", () => {
    stage.send(packet(ipv4({ ...ends4, protocol: 17, fragmentOffset: 800 }), filler(64)));
    const large = packet(ipv6(ends6), tcp({ sourcePort: 1, destinationPort: 2 }), filler(1900));
    stage.send(large, { gsoSize: 500 });
    stage.advance(5000);
    sweep(stage);
    const { flows } = collected(stage);
    expect(flows).toContainEqual(
      expect.objectContaining({ set: 256, fields: expect.objectContaining({ 4: 17n, 7: 0n, 11: 0n }) }),
    );
    expect(flows).toContainEqual(
      expect.objectContaining({ set: 257, fields: expect.objectContaining({ 2: 1n, 1: 1960n }) }),
    );
  });
});

describe("the cache", () => {
  test("reports every packet once, when there are far more flows than places", () => {
    for (let first = 0; first < 40_000; first += 250) {
      stage.burst(Array.from({ length: 250 }, (_, i) => flow4(1 + first + i)));
    }
    stage.advance(5000);
    sweep(stage);
    const { messages, flows } = collected(stage);
    expect(flows).toHaveLength(40_000);
    expect(new Set(flows.map(({ fields }) => fields[7])).size).toBe(40_000);
    expect(new Set(flows.map(({ fields }) => fields[136]))).toEqual(new Set([5n, 1n]));
    expect(stage.counters.evicted_flows).toBeGreaterThan(20_000);
    // No message is larger than what every network carries, and sequence numbers have no gap.
    expect(Math.max(...stage.emitted.map(({ length }) => length))).toBeLessThanOrEqual(1500);
    let next = 0;
    for (const { sequence, records } of messages) {
      expect(sequence).toBe(next);
      next += records.length;
    }
    expect(stage).toHaveCounter("unsent_messages", 0);
  }, 60_000);

  test("fills no message above 1400 bytes with IPv6 flows", () => {
    stage.burst(Array.from({ length: 100 }, (_, i) => flow6(i + 1)));
    stage.advance(5000);
    sweep(stage);
    expect(collected(stage).flows.length).toBe(100);
    expect(Math.max(...stage.emitted.map(({ length }) => length))).toBe(20 + 8 + 16 + 4 + 16 * 80);
  });
});

describe("sampling", () => {
  test("takes one packet of so many, across bursts", () => {
    stage.configure({ ...config, sampling: 10 });
    for (let i = 0; i < 5; i++) stage.burst(Array.from({ length: 9 }, () => flow4(1000)));
    expect(stage).toHaveCounter("sampled_packets", 5);
  });

  test("is told to the collector", () => {
    stage.configure({ ...config, sampling: 10 });
    stage.send(flow4(1000));
    stage.advance(5000);
    for (let i = 0; i < 3; i++) sweep(stage);
    const sampler = collected(stage).messages[0]?.records[0];
    expect(sampler).toEqual({ set: 258, fields: { 149: 7n, 304: 1n, 305: 1n, 306: 9n } });
  });
});

test("templates are sent again when their time is over, and after a new configuration", () => {
  const templatesAfter = (milliseconds: number) => {
    const before = stage.emitted.length;
    stage.send(flow4(1000));
    stage.advance(milliseconds);
    sweep(stage);
    const collector = new Collector();
    for (const each of stage.emitted.slice(0, before)) collector.read(each);
    return stage.emitted.slice(before).flatMap((each) => collector.read(each).templates);
  };
  const all = [256, 257, 258];
  expect(templatesAfter(5000)).toEqual(all);
  expect(templatesAfter(5000)).toEqual([]);
  expect(templatesAfter(60_000)).toEqual(all);
  stage.configure({ ...config, domain: 8 });
  expect(templatesAfter(5000)).toEqual(all);
});

test("to a collector over IPv6", async () => {
  stage.configure({ ...config, collector: "2001:db8::9", source: "2001:db8::1", port: 2055 });
  stage.send(flow4(1000));
  stage.advance(5000);
  sweep(stage);
  expect(collected(stage).flows).toHaveLength(1);
  const header = ipv6({ source: "2001:db8::1", destination: "2001:db8::9" });
  const [message] = stage.emitted as [Uint8Array];
  const payload = message.subarray(48);
  expect([...message]).toEqual([...packet(header, udp({ sourcePort: 2055, destinationPort: 2055 }), payload)]);
});

test("packets leave as they came", () => {
  for (const each of [flow4(1), flow6(1), tick]) expect(stage.send(each)).toLeaveUnchanged();
});

test.each([
  [{ ...config, collector: "192.0.2.0/24" }, "collector"],
  [{ ...config, source: "2001:db8::1" }, "source must be of the collector's family"],
  [{ collector: "192.0.2.9" }, "source"],
  [{ ...config, sampling: 0 }, "sampling"],
  [{ ...config, idleSeconds: 3601 }, "idleSeconds"],
])("%j is refused", async (config, message) => {
  await expect(loadPlugin(entry, { config })).rejects.toThrow(message);
});

test("example.pcap", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config })).toMatchObject({
    packets: 46,
    verdicts: { pass: 46 },
    emitted: 2,
    counters: { sampled_packets: 46, reported_flows: 2, evicted_flows: 0, messages: 2 },
  });
});
