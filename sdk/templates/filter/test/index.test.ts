import { ipv4, ipv6, loadPlugin, packet, type Stage, tcp } from "@sluice/sdk/testing";
import { beforeAll, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const entry = new URL("../assembly/index.ts", import.meta.url);
const web = () => tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" });

let stage: Stage;
beforeAll(async () => {
  stage = await loadPlugin(entry, { config: { deny: ["10.0.0.0/8", "2001:db8:bad::/48"] } });
}, 60_000);

test("drops what comes from a denied prefix, in both families", () => {
  expect(stage.send(packet(ipv4({ source: "10.1.2.3", destination: "192.0.2.1" }), web()))).toDrop("policy");
  expect(stage.send(packet(ipv6({ source: "2001:db8:bad::1", destination: "2001:db8::1" }), web()))).toDrop("policy");
  expect(stage).toHaveCounter("denied_packets", 2);
});

test("lets all else pass as it is", () => {
  expect(stage.send(packet(ipv4({ source: "11.0.0.1", destination: "10.1.2.3" }), web()))).toLeaveUnchanged();
});
