// A stage under test, as its author meets it.

import { ConfigureError, icmp, ipv4, loadPlugin, packet, type Stage, tcp, udp } from "@sluice/sdk/testing";
import { beforeEach, describe, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const gate = new URL("../assembly/gate.ts", import.meta.url);
const next = new URL("../assembly/gate2.ts", import.meta.url);
const config = { backend: "10.0.0.7" };

const there = { source: "10.1.0.1", destination: "10.96.0.10" };
const back = { source: "10.96.0.10", destination: "10.1.0.1" };
const toPort = (destinationPort: number, flags = "S") =>
  packet(ipv4(there), tcp({ sourcePort: 40000, destinationPort, flags }));
const datagram = (destinationPort: number) => packet(ipv4(there), udp({ sourcePort: 40000, destinationPort }), "text");

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(gate, { config, timeLimit: 200 });
}, 60_000);

describe("a packet", () => {
  test("passes, is dropped or redirected", () => {
    expect(stage.send(toPort(25))).toPass(toPort(25));
    expect(stage.send(toPort(22))).toDrop("policy");
    expect(stage.send(toPort(23))).toDrop("telnet");
    expect(stage.send(toPort(443))).toRedirect({ port: 3, nextHop: "10.0.0.9" });
    expect(stage).toHaveCounter("packets", 4);
  });
  test("leaves as another", () => {
    const result = stage.send(toPort(80));
    const rewritten = packet(
      ipv4({ ...there, destination: "10.0.0.7" }),
      tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" }),
    );
    expect(result).toPass(rewritten);
    expect(result).toLeaveAs({ "ipv4.destination": "10.0.0.7", "tcp.flags": "S" });
    expect(stage.send(toPort(25))).toLeaveUnchanged();
  });
  test("that is malformed does not reach the stage", () => {
    expect(stage.send(packet(ipv4({ ...there, checksum: 1 })))).toDrop("bad-ipv4-checksum");
    expect(stage).toHaveCounter("packets", 0);
  });
});

describe("flows are found as a node finds them", () => {
  test("new until it is answered, in both directions one", () => {
    const states = [
      stage.send(datagram(53)),
      stage.send(datagram(53)),
      stage.send(packet(ipv4(back), udp({ sourcePort: 53, destinationPort: 40000 }))),
      stage.send(datagram(53)),
    ].map(({ flow, ctState, direction }) => [flow, ctState, direction]);
    expect(states).toEqual([
      ["#1", "new", "original"],
      ["#1", "new", "original"],
      ["#1", "established", "reply"],
      ["#1", "established", "original"],
    ]);
    expect(stage).toHaveCounter("sessions", 1);
  });
  test("replies come from where the packet was sent to", () => {
    stage.send(toPort(80));
    const reply = { source: "10.0.0.7", destination: "10.1.0.1" };
    expect(stage.send(packet(ipv4(reply), tcp({ sourcePort: 80, destinationPort: 40000, flags: "SA" })))).toMatchObject(
      {
        flow: "#1",
        ctState: "established",
        direction: "reply",
      },
    );
  });
  test("a source is taken that would give a flow another one's replies", () => {
    const from = (source: string) =>
      stage.send(packet(ipv4({ ...there, source }), udp({ sourcePort: 40000, destinationPort: 8 }))).mark;
    expect(from("10.1.0.3")).toBe(0);
    expect(from("10.1.0.2")).toBe(0);
    expect(from("10.1.0.1")).toBe(1);
    stage.advance(30_000);
    expect(from("10.1.0.1")).toBe(0);
  });
  test("a flow whose first packet is dropped is none", () => {
    stage.send(toPort(22));
    expect(stage.send(toPort(22))).toMatchObject({ ctState: "new", flow: "#2" });
  });
  test("an error belongs to the flow that it is about; what no connection has is invalid", () => {
    stage.send(datagram(53));
    const error = packet(
      ipv4({ source: "10.9.0.1", destination: "10.1.0.1" }),
      icmp({ type: 3, code: 1 }),
      datagram(53),
    );
    expect(stage.send(error)).toMatchObject({ ctState: "related", flow: "#1", direction: "reply" });
    expect(stage.send(toPort(25, "SA"))).toMatchObject({ ctState: "invalid" });
    expect(stage.send(toPort(25, "R"))).toMatchObject({ ctState: "invalid" });
  });
  test("idle flows end", () => {
    stage.send(datagram(53));
    expect(stage.advance(29_999).send(datagram(53))).toMatchObject({ flow: "#1" });
    expect(stage.advance(30_000).send(datagram(53))).toMatchObject({ flow: "#2" });
  });
  test("a TCP connection from its beginning to its end, and the next one between the same ports", () => {
    const answer = (flags: string) => packet(ipv4(back), tcp({ sourcePort: 25, destinationPort: 40000, flags }));
    const states = ["S", "<SA", "A", "FA", "<A", "<FA", "A", "S"].map((flags) => {
      const { flow, ctState } = stage.send(flags[0] === "<" ? answer(flags.slice(1)) : toPort(25, flags));
      return `${flow} ${ctState}`;
    });
    expect(states).toEqual(["#1 new", ...Array(6).fill("#1 established"), "#2 new"]);
  });
  test("or are named, or none", () => {
    expect(stage.send(toPort(25), { flow: "a" })).toMatchObject({ flow: "a", ctState: "new" });
    expect(stage.send(toPort(26), { flow: "a" })).toMatchObject({ flow: "a", ctState: "established" });
    expect(stage.send(toPort(25), { flow: false })).toMatchObject({ ctState: "untracked" });
    expect(stage.send(toPort(25), { flow: "b", ctState: "related", direction: "reply" })).toMatchObject({
      ...{ flow: "b", ctState: "related", direction: "reply" },
    });
  });
});

test("a burst: each packet with what is said of it", () => {
  const [first, second] = stage.burst([toPort(25), [toPort(22), { mark: 7 }]], { inPort: 2 });
  expect(first).toPass();
  expect(second).toDrop("policy");
  expect(second?.mark).toBe(7);
});

describe("time", () => {
  test("stands still unless it is let go on", () => {
    expect([stage.now, stage.advance(20).now, stage.advance(5).now]).toEqual([0, 20, 25]);
    stage.send(toPort(25), { at: 1000 });
    expect(stage.now).toBe(1000);
  });
  test.each([999, 1000.5, Number.NaN])("does not go back or in parts: %s", (at) => {
    stage.advance(1000);
    expect(() => stage.send(toPort(25), { at })).toThrow(
      `time is a whole number of milliseconds and does not go back: ${at} after 1000`,
    );
  });
});

describe("a new configuration", () => {
  test("holds from the next packet on; flows, counters and the worker's tables stay", () => {
    expect(stage.send(datagram(2)).mark).toBe(1);
    stage.configure({ backend: "10.0.0.8" });
    expect(stage.send(toPort(80))).toLeaveAs({ "ipv4.destination": "10.0.0.8" });
    expect(stage.send(datagram(2)).mark).toBe(2);
    expect(stage.send(datagram(1)).mark).toBe(4);
    expect(stage).toHaveCounter("packets", 4);
    expect(stage).toHaveCounter("sessions", 3);
  });
  test("that the stage refuses changes nothing", () => {
    expect(() => stage.configure({ backend: 5 })).toThrow(ConfigureError);
    expect(stage.send(toPort(80))).toLeaveAs({ "ipv4.destination": "10.0.0.7" });
  });
});

describe("another version", () => {
  test("takes over flows and counters, its migrate the flows' states", async () => {
    stage.burst([datagram(5), datagram(5), datagram(6)]);
    await stage.swap(next);
    expect(stage.manifest.version).toBe("2.0.0");
    expect(stage.burst([datagram(5), datagram(6), datagram(99)]).map(({ mark }) => mark)).toEqual([1002, 1001, 0]);
    expect(stage.send(datagram(5)).mark).toBe(1003);
    expect(stage.counters).toEqual({ packets: 7, migrated: 2 });
  }, 60_000);
  test("that cannot read the flows' states begins anew", async () => {
    stage.send(datagram(5));
    await stage.swap(next);
    stage.send(datagram(5));
    await stage.swap(gate, { config });
    stage.send(datagram(5));
    expect(stage).toHaveCounter("sessions", 2);
  }, 60_000);
});

describe("a stage that fails", () => {
  test("is out of work until it is configured or swapped", () => {
    const result = stage.send(datagram(9));
    expect(result).toDrop("stage-failed");
    expect(stage).toHaveTrapped("unreachable");
    expect(stage.send(datagram(25))).toDrop("stage-failed");
    stage.configure(config);
    expect(stage.send(datagram(25))).toPass();
    expect(stage).not.toHaveTrapped();
  });
  test("is stopped when it does not return", () => {
    expect(stage.send(datagram(7))).toDrop("stage-failed");
    expect(stage).toHaveTrapped("the stage did not return within 200 ms");
  });
});

test("what was sent is a data row with its results", () => {
  stage.send(toPort(22), { at: 5 });
  expect(stage.row("kept")).toMatchObject({
    ...{ name: "kept", hook: "forward", config, counters: { packets: 1, sessions: 1 } },
    packets: [{ at: 5, flow: "#1", ctState: "new", expect: { verdict: "drop", reason: "policy" } }],
  });
  stage.configure(config);
  expect(stage.row("kept")).toBeUndefined();
});
