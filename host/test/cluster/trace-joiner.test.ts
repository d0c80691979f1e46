import { ethernet, ipv4, packetHex, tcp, udp, vxlan } from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";
import { type Leg, TraceJoiner } from "../../src/cli/trace-joiner.js";
import { journeyText } from "../../src/cli/views/journey.js";
import { withFields } from "../../src/cli/views/trace.js";

// A packet's way through nodes, put together from what each tells.

const pod = (sequence: number, ttl = 64, destination = "10.244.1.9") =>
  packetHex(
    ipv4({ source: "10.244.0.7", destination, ttl }),
    tcp({ sourcePort: 43210, destinationPort: 80, sequence }),
  );
const wire = (bytes: string) =>
  packetHex(
    ipv4({ source: "172.31.0.1", destination: "172.31.0.2" }),
    udp({ sourcePort: 50000, destinationPort: 4789 }),
    vxlan({ vni: 1 }),
    ethernet({ etherType: 0x0800 }),
    Buffer.from(bytes, "hex"),
  );

/** It comes in as `before`, and leaves as `after`. */
function leg(node: string, before: string, after = before): Leg {
  const rewrites = before === after ? [] : [{ offset: 0, before, after }];
  const steps = [
    { kind: "rx", afterNs: 0, detail: "port a" },
    { kind: "tx", afterNs: 900, detail: "port b", rewrites },
  ];
  return {
    node,
    packet: withFields({ number: 1, worker: 0, at: 0, packetHex: before, length: 40, summary: "", steps }),
  };
}

const joined = (...legs: Leg[]) => {
  const joiner = new TraceJoiner();
  for (const each of legs) joiner.add(each, 0);
  return joiner.settled(0).map((journey) => journey.map(({ node }) => node).join(" > "));
};

describe("traces of a packet", () => {
  const first = leg("node1", pod(1), wire(pod(1, 63)));
  const second = leg("node2", wire(pod(1, 63)), pod(1, 62));
  test.each([
    ["the sender's node tells first", [first, second]],
    ["the receiver's node tells first", [second, first]],
  ])("are one journey when %s", (_, legs) => expect(joined(...legs)).toEqual(["node1 > node2"]));

  test("of a node between others are one journey in every order", () => {
    const third = leg("node3", pod(1, 62), pod(1, 61));
    const orders = [
      [first, second, third],
      [third, first, second],
      [third, second, first],
    ];
    for (const legs of orders) expect(joined(...legs)).toEqual(["node1 > node2 > node3"]);
  });

  test("through routers between nodes are one journey", () => {
    expect(joined(leg("node2", pod(1, 61), pod(1, 60)), leg("node1", pod(1), pod(1, 63)))).toEqual(["node1 > node2"]);
  });

  test("that is translated on the way follow what it became", () => {
    const translated = leg("node1", pod(1, 64, "10.96.0.10"), wire(pod(1, 63)));
    expect(joined(translated, second)).toEqual(["node1 > node2"]);
  });

  test("are apart from those of other packets of the flow, and on one node", () => {
    expect(joined(first, leg("node2", wire(pod(2, 63)), pod(2, 62)))).toEqual(["node1", "node2"]);
    expect(joined(leg("node1", pod(1)), leg("node1", pod(1)))).toEqual(["node1", "node1"]);
  });

  test("are handed out once, when nothing was added for a while", () => {
    const joiner = new TraceJoiner();
    joiner.add(first, 100);
    expect(joiner.settled(99)).toEqual([]);
    joiner.add(second, 200);
    expect(joiner.settled(199)).toEqual([]);
    expect(joiner.settled(200)).toHaveLength(1);
    expect(joiner.settled(200)).toEqual([]);
  });

  test("that another node has to tell more of are waited for longer", () => {
    const joiner = new TraceJoiner();
    for (const each of [first, leg("node2", wire(pod(2, 63)), pod(2, 62)), leg("node1", pod(3))]) joiner.add(each, 100);
    expect(joiner.settled(100, 99)).toHaveLength(1);
    joiner.add(second, 100);
    expect(joiner.settled(100, 99).map((legs) => legs.map(({ node }) => node))).toEqual([["node1", "node2"]]);
    expect(joiner.settled(100)).toHaveLength(1);
  });

  test("are shown with who speaks with whom, node by node", () => {
    const names = {
      of: (address: string) => (address === "10.244.0.7" ? ({ kind: "pod", name: "shop/web" } as const) : undefined),
    };
    const lines = journeyText(1, [first, second], names, false).split("\n");
    expect(lines[0]).toBe("packet 1  shop/web:43210 > 10.244.1.9:80  node1 -> node2");
    expect(lines.filter((line) => line.startsWith("node "))).toEqual(["node node1:", "node node2:"]);
  });
});
