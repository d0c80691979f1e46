// What the matchers say when something is not as expected.

import { ipv4, loadPlugin, packet, type SendResult, type Stage, tcp, udp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const there = { source: "10.1.0.1", destination: "10.96.0.10" };
const toPort = (destinationPort: number) =>
  packet(ipv4(there), tcp({ sourcePort: 40000, destinationPort, flags: "S" }));
const datagram = (destinationPort: number) => packet(ipv4(there), udp({ sourcePort: 40000, destinationPort }), "text");
const rewritten = packet(
  ipv4({ ...there, destination: "10.0.0.7" }),
  tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" }),
);

let gate: Stage;
let speaker: Stage;
beforeAll(async () => {
  gate = await loadPlugin(new URL("../assembly/gate.ts", import.meta.url), { config: { backend: "10.0.0.7" } });
  speaker = await loadPlugin(new URL("../assembly/speaker.ts", import.meta.url));
}, 60_000);

/** The message of the failed expectation. */
function failure(expectation: () => void): string {
  try {
    expectation();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("the expectation held");
}

describe("verdicts", () => {
  test("another one", () => {
    expect(failure(() => expect(gate.send(toPort(22))).toPass())).toBe(
      "the packet was to be passed\n  it was dropped: policy",
    );
    expect(failure(() => expect(gate.send(toPort(25))).toDrop("policy"))).toBe(
      "the packet was to be dropped for 'policy'\n  it was passed",
    );
    expect(failure(() => expect(gate.send(toPort(443))).toReply())).toBe(
      "the packet was to be turned into a reply\n  it was redirected to port 3 and next hop 10.0.0.9",
    );
    expect(failure(() => expect(gate.send(toPort(443))).toReinput())).toContain("it was redirected");
  });
  test("another reason, port or next hop", () => {
    expect(failure(() => expect(gate.send(toPort(22))).toDrop("telnet"))).toBe(
      "the packet was to be dropped for 'telnet'\n  reason: policy → expected telnet",
    );
    expect(failure(() => expect(gate.send(toPort(443))).toRedirect({ port: 4, nextHop: "" }))).toBe(
      'the packet was to be redirected\n  port: 3 → expected 4\n  next hop: "10.0.0.9" → expected ""',
    );
  });
  test("this one, where it was not to be", () => {
    expect(failure(() => expect(gate.send(toPort(22))).not.toDrop())).toBe("the packet was dropped");
    expect(failure(() => expect(gate.send(toPort(25))).not.toPass())).toBe("the packet was passed");
  });
  test("because the stage failed", async () => {
    const stage = await loadPlugin(new URL("../assembly/gate.ts", import.meta.url), {
      config: { backend: "10.0.0.7" },
    });
    const result = stage.send(datagram(9));
    expect(failure(() => expect(result).toPass())).toBe(
      [
        "the packet was to be passed",
        "  it was dropped: stage-failed",
        "  the stage failed: unreachable, at test/assembly/gate.ts:51:14, on udp 10.1.0.1:40000 > 10.96.0.10:9, 32 bytes",
      ].join("\n"),
    );
    expect(failure(() => expect(stage).toHaveTrapped("budget"))).toBe(
      "the stage was to fail with budget\n  it failed with: unreachable",
    );
    expect(failure(() => expect(stage).not.toHaveTrapped())).toBe("the stage failed: unreachable");
    expect(failure(() => expect(gate).toHaveTrapped())).toBe("the stage was to fail\n  it did not");
  });
});

describe("packets, field by field, then the bytes", () => {
  test("another packet", () => {
    expect(failure(() => expect(gate.send(toPort(80))).toLeaveAs(toPort(80)))).toBe(
      [
        "the packet leaves the stage otherwise than expected",
        "  ipv4.checksum: 66c8 → expected 6665",
        "  ipv4.destination: 10.0.0.7 → expected 10.96.0.10",
        "  tcp.checksum: ff49 → expected fee6",
        "",
        "  0000  found     45 00 00 28 00 00 00 00 40 06 66[c8]0a 01 00 01",
        "        expected  45 00 00 28 00 00 00 00 40 06 66[65]0a 01 00 01",
        "  0010  found     0a[00]00[07]9c 40 00 50 00 00 00 00 00 00 00 00",
        "        expected  0a[60]00[0a]9c 40 00 50 00 00 00 00 00 00 00 00",
        "  0020  found     50 02 ff ff[ff 49]00 00",
        "        expected  50 02 ff ff[fe e6]00 00",
      ].join("\n"),
    );
    expect(failure(() => expect(gate.send(toPort(80))).toPass(toPort(80)))).toContain("10.0.0.7 → expected 10.96.0.10");
    expect(failure(() => expect(gate.send(toPort(80))).toLeaveUnchanged())).toContain("was to leave as it came");
  });
  test("other fields", () => {
    expect(failure(() => expect(gate.send(toPort(80))).toLeaveAs({ "ipv4.ttl": 63, "udp.length": 8 }))).toMatch(
      /\n {2}ipv4\.ttl: 64 → expected 63\n {2}udp\.length: absent \(there are ipv4\.headerLength, .*\) → expected 8$/,
    );
  });
  test("none", () => {
    expect(failure(() => expect(gate.send(toPort(22))).toLeaveAs(toPort(22)))).toContain("it was dropped: policy");
    expect(failure(() => expect(gate.send(toPort(22))).toLeaveUnchanged())).toContain("it was dropped: policy");
  });
  test("this one, where it was not to be", () => {
    expect(failure(() => expect(gate.send(toPort(80))).not.toLeaveAs(rewritten))).toBe(
      "the packet leaves the stage like that",
    );
    expect(failure(() => expect(gate.send(toPort(25))).not.toLeaveUnchanged())).toBe("the packet leaves as it came");
  });
});

describe("what a stage does beside", () => {
  const reset = packet(
    ipv4({ source: there.destination, destination: there.source, dontFragment: true }),
    tcp({ sourcePort: 81, destinationPort: 40000, flags: "RA", acknowledgment: 1, window: 0 }),
  );
  let refused: SendResult;
  beforeAll(() => {
    refused = speaker.send(toPort(81));
  });

  test("answers", () => {
    const answer = packet(
      ipv4({ source: there.destination, destination: there.source }),
      udp({ sourcePort: 7, destinationPort: 40000 }),
      "text",
    );
    expect(speaker.send(datagram(7))).toReply(answer);
    expect(failure(() => expect(speaker.send(datagram(7))).toReply(datagram(7)))).toContain(
      "udp.sourcePort: 7 → expected 40000",
    );
    expect(speaker.send(datagram(41))).toReinput(datagram(41));
  });
  test("sends packets", () => {
    expect(refused).toDrop("policy");
    expect(refused).toHaveEmitted(reset);
    expect(speaker).toHaveEmitted(reset);
    expect(speaker.send(toPort(82))).toHaveEmitted();
    expect(failure(() => expect(refused).toHaveEmitted())).toBe(
      "the stage was to send other packets\n  number of packets: 1 → expected 0",
    );
    expect(failure(() => expect(refused).toHaveEmitted(toPort(81)))).toContain(
      "  packet 0:\n    ipv4.flags: 2 → expected 0\n",
    );
  });
  test("mirrors", () => {
    expect(speaker.send(datagram(5))).toHaveMirrored(5, datagram(5));
    expect(failure(() => expect(speaker.send(datagram(5))).toHaveMirrored(6))).toBe(
      "the packet was to be mirrored to port 6\n  there are copies to port 5",
    );
    expect(failure(() => expect(speaker.send(datagram(6))).toHaveMirrored(5))).toContain("there is no copy");
    expect(failure(() => expect(speaker.send(datagram(5))).toHaveMirrored(5, datagram(6)))).toContain(
      "udp.destinationPort: 5 → expected 6",
    );
  });
  test("notes values", () => {
    expect(speaker.send(datagram(6))).toHaveTraced({ rule: 6 });
    expect(failure(() => expect(speaker.send(datagram(6))).toHaveTraced({ rule: 7, other: 1 }))).toBe(
      "the stage was to note other values\n  rule: 6 → expected 7\n  other: absent → expected 1",
    );
    expect(speaker.send(datagram(6), { traced: false }).trace).toEqual({});
  });
});

test("counters, gauges and histograms", async () => {
  const stage = await loadPlugin(new URL("../assembly/speaker.ts", import.meta.url));
  stage.send(datagram(6));
  stage.send(toPort(99));
  expect(stage).toHaveGauge("last_port", 99);
  expect(stage).toHaveHistogram("packet_bytes", { bounds: [30, 60], counts: [0, 2, 0], sum: 72 });
  expect(failure(() => expect(stage).toHaveGauge("last_port", 6))).toBe(
    "gauge last_port is not as expected\n  last_port: 99 → expected 6",
  );
  expect(failure(() => expect(stage).toHaveCounter("last", 6))).toBe(
    "counter last is not as expected\n  the stage has no counter 'last'; it has none",
  );
  expect(failure(() => expect(stage).toHaveHistogram("packet_bytes", { counts: [2, 0, 0] }))).toBe(
    "histogram packet_bytes is not as expected\n  counts: [0,2,0] → expected [2,0,0]",
  );
  expect(failure(() => expect(stage).toHaveHistogram("bytes", {}))).toContain("it has packet_bytes");
});

test("wrong use is said", () => {
  expect(() => expect(gate).toPass()).toThrow(new TypeError("this matcher is for what stage.send() returns"));
  expect(() => expect({}).toHaveCounter("a", 1)).toThrow(
    new TypeError("this matcher is for a stage, from loadPlugin()"),
  );
});
