// The SDK's views and rewrite calls against the same stage written with loads and stores, in Node's WebAssembly, and what a
// lookup in a table of 100,000 prefixes costs. Usage: node sdk/bench/views.mjs [rounds]
//
// Rounds of both ways take turns in one run, so that both see the same machine; medians of nanoseconds a packet are told.

import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, packet, parsePacket, tcp, udp } from "@sluice/sdk/testing";
import { StageInstance } from "../dist/testing/instance.js";
import { Slot } from "../dist/testing/slots.js";

const PACKETS = 256;
/** Short enough that most rounds run without interruption on a machine that has other work. */
const CALLS = 8;
/** Until V8 has optimised both ways. */
const WARM_UP = 1500;

/** A stage's instance with a burst of packets in its window. */
export async function load(name, config, packets) {
  const { wasm, manifest } = await buildPlugin({
    entry: fileURLToPath(new URL(`assembly/${name}.ts`, import.meta.url)),
  });
  const module = new WebAssembly.Module(wasm);
  const instance = new StageInstance(module, manifest.traceValues);
  let segment = new Uint8Array();
  const start = performance.now();
  if (config)
    segment = new StageInstance(module, manifest.traceValues).configure(JSON.stringify(config), manifest.segmentBytes);
  const configured = performance.now() - start;
  instance.publish(segment);
  const addresses = packets.map((bytes, i) => {
    const slot = new Slot(instance.memory, i);
    slot.fill({ parsed: parsePacket(bytes), row: {}, flow: 0, ctState: "untracked" }, manifest.headerBytes);
    return slot.address;
  });
  // Once by the harness, which fills the burst's header; then without what it costs to fill it.
  instance.process({ hook: 0, nowNs: 1n, wallNs: 1n, random: 1n }, addresses, segment.length);
  return { configured, call: (hook) => instance.exports.process(hook, addresses.length) };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** Median nanoseconds a packet of each hook, taken in turns. */
export function compare(stage, hooks, rounds) {
  const times = hooks.map(() => []);
  for (let round = -WARM_UP; round < rounds; round++) {
    hooks.forEach((hook, i) => {
      const start = process.hrtime.bigint();
      for (let call = 0; call < CALLS; call++) stage.call(hook);
      const spent = Number(process.hrtime.bigint() - start) / CALLS / PACKETS;
      if (round >= 0) times[i].push(spent);
    });
  }
  return times.map(median);
}

const address = (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
const some = (make) => Array.from({ length: PACKETS }, (_, i) => make(i));
const flows = some((i) =>
  packet(
    ipv4({ source: "192.0.2.1", destination: address(i) }),
    (i % 4 === 3 ? udp : tcp)({ sourcePort: 1000 + i, destinationPort: 80 }),
    "x".repeat(20),
  ),
);
const synOptions = Buffer.from("020405b40402080a000000010000000001030307", "hex");
const syns = some((i) =>
  packet(
    ipv4({ source: "192.0.2.1", destination: address(i) }),
    tcp({ sourcePort: 1000 + i, destinationPort: 80, flags: "S", options: synOptions }),
  ),
);
/** Each translation leads to another, so that every packet is translated each time. */
const services = Array.from({ length: 1024 }, (_, i) => ({
  ...{ address: address(i), port: 80 },
  ...{ toAddress: address(i ^ 512), toPort: 80 },
}));

const PREROUTING = 0;
const FORWARD = 1;
export const cases = [
  { name: "nat", what: "lookup, new address and port, checksums", config: { services }, packets: flows },
  { name: "fields", what: "11 fields read", packets: flows },
  { name: "mss", what: "TCP options searched, MSS changed", packets: syns },
];

/** Nanoseconds a packet with the SDK and by hand, of each case. */
export async function measure(rounds) {
  const results = [];
  for (const { name, what, config, packets } of cases) {
    const stage = await load(name, config, packets);
    const [sdk, hand] = compare(stage, [PREROUTING, FORWARD], rounds);
    results.push({ name, what, sdk, hand, ratio: sdk / hand });
  }
  return results;
}

const PREFIXES = 100_000;

/** Nanoseconds a lookup in 100,000 prefixes of each family, and the milliseconds of reading them. */
export async function measureLpm(rounds) {
  let state = 1;
  const next = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  const group = () => next(65536).toString(16);
  const prefixes = Array.from({ length: PREFIXES }, (_, i) => {
    if (i % 2) return `2a0${next(16).toString(16)}:${group()}:${group()}::/${29 + next(20)}`;
    return `${1 + next(223)}.${next(256)}.${next(256)}.0/${12 + next(13)}`;
  });
  const stage = await load("lpm", { prefixes }, flows);
  const [four, six, nothing] = compare(stage, [PREROUTING, FORWARD, 2], rounds);
  return { four: four - nothing, six: six - nothing, configured: stage.configured };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rounds = Number(process.argv[2] ?? 3001);
  for (const { name, what, sdk, hand, ratio } of await measure(rounds)) {
    const times = `SDK ${sdk.toFixed(2)} ns, by hand ${hand.toFixed(2)} ns a packet`;
    console.log(`${name.padEnd(8)}${times}, ratio ${ratio.toFixed(3)}   (${what})`);
  }
  const { four, six, configured } = await measureLpm(rounds);
  const lookups = `IPv4 ${four.toFixed(1)} ns, IPv6 ${six.toFixed(1)} ns a lookup`;
  console.log(
    `lpm     ${lookups}, ${configured.toFixed(0)} ms to configure   (${PREFIXES} prefixes, half of each family)`,
  );
  process.exit(0);
}
