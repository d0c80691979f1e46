import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { addressText, ipv4, ipv6, loadPlugin, packetHex, type Stage, tcp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";

const SECONDS = 60;
const CLIENTS = 64;

/** Addresses of one family. */
interface Family {
  name: string;
  ip: typeof ipv4 | typeof ipv6;
  vip: string;
  client: (number: number) => string;
  backend: (number: number) => string;
}
const FAMILIES: Family[] = [
  { name: "IPv4", ip: ipv4, vip: "10.96.0.10", client: (n) => `10.1.0.${n}`, backend: (n) => `10.2.0.${n}` },
  { name: "IPv6", ip: ipv6, vip: "fd00:96::a", client: (n) => `fd00:1::${n}`, backend: (n) => `fd00:2::${n}` },
];

let wasm: Uint8Array;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  wasm = (await buildPlugin({ entry })).wasm;
}, 60_000);

describe.each(FAMILIES)("session affinity over $name", ({ ip, vip, client, backend }) => {
  let ports = 0;
  let stage: Stage;

  const config = (backends: number[], weights: Record<number, number> = {}, affinitySeconds = SECONDS) => ({
    services: [
      {
        ...{ name: "web", vip, port: 80, protocol: "tcp", affinitySeconds },
        backends: backends.map((number) => ({ address: backend(number), port: 8080, weight: weights[number] ?? 1 })),
      },
    ],
  });
  const start = async (...args: Parameters<typeof config>) => {
    ports = 0;
    stage = await loadPlugin(wasm, { config: config(...args) });
  };
  /** A new connection of a client. @returns where it went */
  const call = (number: number): string => {
    const packet = packetHex(
      ip({ source: client(number), destination: vip }),
      tcp({ sourcePort: 10_000 + ports++, destinationPort: 80, flags: "S" }),
    );
    const { packet: sent = new Uint8Array() } = stage.send(packet, { hook: "prerouting" });
    return addressText(ip === ipv4 ? sent.subarray(16, 20) : sent.subarray(24, 40));
  };
  const calls = () => Array.from({ length: CLIENTS }, (_, number) => call(number + 1));

  test("all connections of a client go to one backend, those of many clients to all", async () => {
    await start([1, 2, 3]);
    const first = calls();
    expect(new Set(first)).toEqual(new Set([backend(1), backend(2), backend(3)]));
    expect(calls()).toEqual(first);
  });

  test("without it they do not", async () => {
    await start([1, 2, 3], {}, 0);
    expect(new Set(Array.from({ length: CLIENTS }, () => call(1))).size).toBe(3);
  });

  test("clients stay where they are when backends come, as long as each connects within the time", async () => {
    await start([1, 2]);
    const first = calls();
    stage.configure(config([1, 2, 3, 4, 5]));
    for (let period = 0; period < 3; period++) {
      stage.advance(SECONDS * 1000 - 1);
      expect(calls()).toEqual(first);
    }
  });

  test("after that time they go where new ones go", async () => {
    await start([1, 2]);
    calls();
    stage.configure(config([1, 2, 3, 4, 5]));
    stage.advance(SECONDS * 1000);
    const later = calls();
    expect(new Set(later).size).toBe(5);
    await start([1, 2, 3, 4, 5]);
    expect(later).toEqual(calls());
  });

  test.each([
    ["is gone", config.bind(undefined, [2, 3])],
    ["takes no new flows", config.bind(undefined, [1, 2, 3], { 1: 0 })],
  ])("a client whose backend %s gets another, and stays there", async (_, changed) => {
    await start([1, 2, 3]);
    const first = calls();
    stage.configure(changed());
    const second = calls();
    expect(new Set(second)).toEqual(new Set([backend(2), backend(3)]));
    for (const [index, address] of first.entries()) if (address !== backend(1)) expect(second[index]).toBe(address);
    expect(calls()).toEqual(second);
  });
});
