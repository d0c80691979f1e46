import { ipv4, loadPlugin, packet, type Stage, udp } from "@sluice/sdk/testing";
import { beforeEach, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";

const entry = new URL("../assembly/index.ts", import.meta.url);
/** 20 bytes of IPv4, 8 of UDP, 472 of payload. */
const halfKilobyte = (sourcePort: number) =>
  packet(
    ipv4({ source: "10.1.2.3", destination: "192.0.2.1" }),
    udp({ sourcePort, destinationPort: 53 }),
    Buffer.alloc(472),
  );

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config: { bytes: 1000 } });
}, 60_000);

test("cuts a flow off once it has sent its quota", () => {
  expect(stage.send(halfKilobyte(40000))).toLeaveUnchanged();
  expect(stage.send(halfKilobyte(40000))).toLeaveUnchanged();
  expect(stage.send(halfKilobyte(40000))).toDrop("quota-used");
  expect(stage.send(halfKilobyte(40000))).toDrop("quota-used");
  expect(stage).toHaveCounter("cut_flows", 1);
});

test("counts each flow by itself", () => {
  for (const port of [40000, 40001, 40002]) expect(stage.send(halfKilobyte(port))).toLeaveUnchanged();
});
