import { icmpv6, ipv4, ipv6, loadPlugin, packet, type Stage, tcp } from "@sluice/sdk/testing";
import { beforeAll, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const entry = new URL("../assembly/index.ts", import.meta.url);
const ends = { source: "10.1.0.1", destination: "10.2.0.2" };
const ports = { sourcePort: 40000, destinationPort: 80 };

let stage: Stage;
beforeAll(async () => {
  stage = await loadPlugin(entry);
}, 60_000);

test("counts packets, bytes and connections, and changes nothing", () => {
  const packets = [
    packet(ipv4(ends), tcp({ ...ports, flags: "S" })),
    packet(ipv4(ends), tcp({ ...ports, flags: "A" })),
    packet(ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }), icmpv6({ type: 128 }), "ping"),
  ];
  for (const each of packets) expect(stage.send(each)).toLeaveUnchanged();
  expect(stage.counters).toEqual({ ipv4_packets: 2, ipv6_packets: 1, bytes: 40 + 40 + 52, tcp_connections: 1 });
});
