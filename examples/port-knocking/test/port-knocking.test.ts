import { fileURLToPath } from "node:url";
import { ipv4, ipv6, loadPlugin, packet, runPcap, type Stage, tcp, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";

const entry = new URL("../assembly/index.ts", import.meta.url);
const config = { protect: [22, "8000-8010"], sequence: [7000, 8100, 9000], within: 10, open: 30 };
const server = { 4: "192.0.2.1", 6: "2001:db8:2::1" };
const header = (source: string, destination?: string) =>
  source.includes(":")
    ? ipv6({ source, destination: destination ?? server[6] })
    : ipv4({ source, destination: destination ?? server[4] });
let sourcePort = 1024;
/** A SYN from a port of its own, as each new connection has. */
const syn = (source: string, destinationPort: number, flags = "S") =>
  packet(header(source), tcp({ sourcePort: sourcePort++, destinationPort, flags }));
const datagram = (source: string, destinationPort: number) =>
  packet(header(source), udp({ sourcePort: sourcePort++, destinationPort }), "knock");
const knockAll = (stage: Stage, source: string) => {
  for (const port of config.sequence) expect(stage.send(syn(source, port))).toDrop("knock");
};
const client = "10.0.0.1";

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config });
}, 60_000);

describe("a protected port", () => {
  test.each([client, "2001:db8::1"])("is closed for %s, open after the sequence, and closed again later", (source) => {
    expect(stage.send(syn(source, 22))).toDrop("port-closed");
    knockAll(stage, source);
    expect(stage.send(syn(source, 22))).toLeaveUnchanged();
    expect(stage.send(syn(source, 8005))).toLeaveUnchanged();
    expect(stage.send(datagram(source, 8010))).toLeaveUnchanged();
    stage.advance(29_999);
    expect(stage.send(syn(source, 22))).toPass();
    stage.advance(1);
    expect(stage.send(syn(source, 22))).toDrop("port-closed");
    expect(stage).toHaveCounter("opened", 1);
    expect(stage).toHaveCounter("wrong_knocks", 0);
  });

  test("is open for who knocked only", () => {
    knockAll(stage, client);
    expect(stage.send(syn("10.0.0.2", 22))).toDrop("port-closed");
  });

  test("keeps the connections that were made while it was open", () => {
    knockAll(stage, client);
    const ends = { sourcePort: 500, destinationPort: 22 };
    expect(stage.send(packet(header(client), tcp({ ...ends, flags: "S" })))).toPass();
    const answer = tcp({ sourcePort: 22, destinationPort: 500, flags: "SA" });
    expect(stage.send(packet(header(server[4], client), answer))).toPass();
    expect(stage.send(packet(header(client), tcp({ ...ends, flags: "A" })))).toPass();
    stage.advance(60_000);
    expect(stage.send(packet(header(client), tcp({ ...ends, flags: "A" }), "data"))).toPass();
    expect(stage.send(syn(client, 22))).toDrop("port-closed");
  });
});

describe("knocks", () => {
  const ports = (...list: number[]) => list;
  test.each<[string, number[], boolean]>([
    ["in order", ports(7000, 8100, 9000), true],
    ["out of order", ports(7000, 9000, 8100), false],
    ["with one left out", ports(7000, 9000), false],
    ["from the middle on", ports(8100, 9000), false],
    ["with a wrong one between", ports(7000, 9000, 8100, 9000), false],
    ["with the first one twice", ports(7000, 7000, 8100, 9000), true],
    ["after a failed try", ports(7000, 9000, 7000, 8100, 9000), true],
    ["with another port between, which is no knock", ports(7000, 443, 8100, 9000), true],
  ])("%s open: %s", (_name, list, isOpen) => {
    for (const port of list) stage.send(syn(client, port));
    const result = stage.send(syn(client, 22));
    if (isOpen) expect(result).toPass();
    else expect(result).toDrop("port-closed");
    expect(stage).toHaveCounter("opened", isOpen ? 1 : 0);
  });

  test("may be UDP, and all in one burst", () => {
    const results = stage.burst([datagram(client, 7000), syn(client, 8100), datagram(client, 9000), syn(client, 22)]);
    expect(results.map(({ verdict }) => verdict)).toEqual(["drop", "drop", "drop", "pass"]);
  });

  test.each([
    [9_999, true],
    [10_000, true],
    [10_001, false],
  ])("that take %i ms open: %s", (milliseconds, isOpen) => {
    stage.send(syn(client, 7000));
    stage.send(syn(client, 8100));
    stage.advance(milliseconds);
    stage.send(syn(client, 9000));
    const { verdict } = stage.send(syn(client, 22));
    expect(verdict).toBe(isOpen ? "pass" : "drop");
    expect(stage).toHaveCounter("wrong_knocks", isOpen ? 0 : 1);
  });

  test("are SYNs: a segment with ACK is none, and passes", () => {
    for (const port of config.sequence) expect(stage.send(syn(client, port, "SA"), { flow: false })).toPass();
    expect(stage.send(syn(client, 22))).toDrop("port-closed");
  });

  test("are not remembered but for the first", () => {
    for (const port of [9000, 8100]) stage.send(syn(client, port));
    expect(stage).toHaveGauge("knockers", 0);
    stage.send(syn(client, 7000));
    expect(stage).toHaveGauge("knockers", 1);
  });

  test.each([
    [[7000, 8100, 9000], 1],
    [[7000, 9000, 8100], 0],
  ])("of a scan of all ports in order open the sequence %j %i times", (sequence, times) => {
    stage.configure({ ...config, sequence });
    for (let port = 6990; port < 9010; port++) stage.send(syn(client, port));
    expect(stage).toHaveCounter("opened", times);
  });
});

test("other ports, protocols and later fragments pass", () => {
  expect(stage.send(syn(client, 443))).toLeaveUnchanged();
  const later = ipv4({ source: client, destination: server[4], fragmentOffset: 8, protocol: 6 });
  expect(stage.send(packet(later, "12345678"))).toLeaveUnchanged();
});

test("with 16384 sources the table is full: who was seen last longest ago has to knock again", () => {
  // After a configure nothing is sent to a packet thread too: one row there has fewer buffers than this takes.
  stage.configure(config);
  knockAll(stage, client);
  const address = (i: number) => `11.0.${i >> 8}.${i & 255}`;
  for (let first = 0; first < 16_384; first += 256) {
    stage.burst(
      Array.from({ length: 256 }, (_, i) => datagram(address(first + i), 7000)),
      { flow: false },
    );
  }
  expect(stage).toHaveGauge("knockers", 16_384);
  expect(stage.send(syn(client, 22))).toDrop("port-closed");
}, 60_000);

test("without a configuration everything passes", async () => {
  expect((await loadPlugin(entry)).send(syn(client, 22))).toPass();
}, 60_000);

test.each([
  [{ sequence: [1, 2] }, "protect"],
  [{ protect: [22] }, "sequence"],
  [{ protect: [22], sequence: [7000] }, "sequence"],
  [{ protect: [22], sequence: [7000, 0] }, "sequence has port 0"],
  [{ protect: ["20-30"], sequence: [7000, 22] }, "sequence has a protected port"],
  [{ protect: ["30-20"], sequence: [1, 2] }, "protect[0]"],
  [{ protect: [22], sequence: [1, 2], within: 0 }, "within"],
  [{ protect: [22], sequence: [1, 2], open: 86401 }, "open"],
])(
  "%j is refused",
  async (wrong, path) => {
    await expect(loadPlugin(entry, { config: wrong })).rejects.toThrow(path);
  },
  60_000,
);

test("example.pcap: one source knocks right, one wrong", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(
    await runPcap({ plugin: entry, in: capture, config: { protect: [22], sequence: [7000, 9000, 8000] } }),
  ).toMatchObject({
    packets: 9,
    verdicts: { pass: 1, drop: 8 },
    reasons: { knock: 6, "port-closed": 2 },
    counters: { opened: 1 },
  });
}, 60_000);
