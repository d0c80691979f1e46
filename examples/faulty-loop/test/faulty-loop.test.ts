import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, NodeStage, type PacketRow, packetHex, type RowResult, udp } from "@sluice/sdk/testing";
import { beforeAll, expect, test } from "vitest";

let stage: NodeStage;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  stage = new NodeStage((await buildPlugin({ entry })).wasm);
}, 60_000);

const toPort = (destinationPort: number): PacketRow => ({
  in: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), udp({ sourcePort: 40000, destinationPort })),
  expect: { verdict: "pass", out: "same" },
});
const run = (...ports: number[]): Promise<RowResult> =>
  stage.run({ name: "ports", hook: "forward", packets: ports.map(toPort) });

test("passes what is not its trigger", async () => {
  expect(await run(53)).toMatchObject({ packets: [{ verdict: "pass" }] });
});

test("does not come back from its trigger: it is stopped, and the burst goes on without it", async () => {
  expect(await run(53, 666)).toMatchObject({
    packets: [{ verdict: "pass" }, { verdict: "pass" }],
    trap: { packet: 1, message: "the stage did not return within 5000 ms" },
  });
});
