import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, type PacketRow, packetHex, type Row, udp } from "@sluice/sdk/testing";
import { beforeAll, expect, test } from "vitest";

let wasm: Uint8Array;
beforeAll(async () => {
  wasm = (await buildPlugin({ entry: fileURLToPath(new URL("../assembly/index.ts", import.meta.url)) })).wasm;
}, 60_000);

const toPort = (destinationPort: number): PacketRow => ({
  in: packetHex(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), udp({ sourcePort: 40000, destinationPort })),
  expect: { verdict: "pass", out: "same" },
});

/** Node has no time budget for WebAssembly: a thread of its own, which can be ended. */
async function endsWithin(milliseconds: number, row: Row): Promise<boolean> {
  const worker = new Worker(new URL("run-row.mjs", import.meta.url), { workerData: { wasm, row } });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      worker.on("error", reject);
      worker.on("message", (message) => {
        if (message === "done") resolve(true);
        else setTimeout(() => resolve(false), milliseconds);
      });
    });
  } finally {
    await worker.terminate();
  }
}

test("passes what is not its trigger", async () => {
  expect(await endsWithin(30_000, { name: "harmless", hook: "forward", packets: [toPort(53)] })).toBe(true);
}, 60_000);

test("does not come back from its trigger", async () => {
  expect(await endsWithin(1000, { name: "trigger", hook: "forward", packets: [toPort(53), toPort(666)] })).toBe(false);
}, 60_000);
