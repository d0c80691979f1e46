import { ipv4, ipv6, loadPlugin, packet, type Stage, tcp, udp } from "@sluice/sdk/testing";
import { beforeAll, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const entry = new URL("../assembly/index.ts", import.meta.url);
const from4 = { source: "10.1.2.3", destination: "192.0.2.1" };
const from6 = { source: "2001:db8::1", destination: "2001:db8::2" };
const call = () => udp({ sourcePort: 40000, destinationPort: 5060 });

let stage: Stage;
beforeAll(async () => {
  stage = await loadPlugin(entry, { config: { classes: [{ port: 5060, dscp: 46 }] } });
}, 60_000);

test("marks packets to a port of the list, in both families, and nothing else of them changes", () => {
  expect(stage.send(packet(ipv4(from4), call()))).toPass(packet(ipv4({ ...from4, dscp: 46 }), call()));
  expect(stage.send(packet(ipv6(from6), call()))).toPass(packet(ipv6({ ...from6, dscp: 46 }), call()));
  expect(stage).toHaveCounter("marked_packets", 2);
});

test("leaves other ports alone", () => {
  const other = packet(ipv4(from4), tcp({ sourcePort: 5060, destinationPort: 80 }));
  expect(stage.send(other)).toLeaveUnchanged();
});
