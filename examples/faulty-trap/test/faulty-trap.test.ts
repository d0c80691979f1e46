import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, ipv6, NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { expect, test } from "vitest";

const ports = (destinationPort: number) => udp({ sourcePort: 40000, destinationPort });
const harmless = packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), ports(53), "text");
const trigger = packetHex(ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }), ports(667), "text");

test("traps on its trigger, and what it wrote in that burst is thrown away", async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  const stage = new NodeStage((await buildPlugin({ entry })).wasm);
  const marked = packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2", dscp: 1 }), ports(53), "text");
  const failed = { verdict: "drop", reason: "stage-failed" } as const;
  const result = await stage.run({
    name: "a burst without the trigger, then one with it",
    hook: "forward",
    packets: [
      { in: harmless, at: 0, expect: { verdict: "pass", out: marked } },
      { in: harmless, at: 1, expect: failed },
      { in: trigger, at: 1, expect: failed },
    ],
  });
  expect(result.packets[0]).toMatchObject({ verdict: "pass", out: marked });
  expect(result.packets.slice(1)).toMatchObject([failed, failed]);
  expect(result.trap).toMatchObject({ packet: 2 });
}, 60_000);
