import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { icmpv6, ipv4, ipv6, NodeStage, packetHex, runRows, tcp } from "@sluice/sdk/testing";
import { expect, test } from "vitest";

const syn = packetHex(
  ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
  tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" }),
);
const ack = packetHex(
  ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
  tcp({ sourcePort: 40000, destinationPort: 80, flags: "A" }),
);
const echo = packetHex(ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }), icmpv6({ type: 128 }), "ping");

test("counts packets, bytes and connections, and changes nothing", async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  const stage = new NodeStage((await buildPlugin({ entry })).wasm);
  const packets = [syn, ack, echo].map((bytes) => ({ in: bytes, expect: { verdict: "pass", out: "same" } as const }));
  const counters = { ipv4_packets: 2, ipv6_packets: 1, bytes: 40 + 40 + 52, tcp_connections: 1 };
  const [report] = await runRows(stage, [{ name: "three packets", hook: "forward", packets, counters }]);
  expect(report?.failures).toEqual([]);
}, 60_000);
