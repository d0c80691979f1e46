import { fileURLToPath } from "node:url";
import {
  filler,
  fragmentsOf,
  hex,
  ipv4,
  ipv6,
  type Layer,
  loadPlugin,
  options,
  packet,
  runPcap,
  type SendOptions,
  type Stage,
  type TcpFields,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";

const entry = new URL("../assembly/index.ts", import.meta.url);
const header4 = ipv4({ source: "10.1.0.1", destination: "192.0.2.1" });
const header6 = ipv6({ source: "2001:db8:1::1", destination: "2001:db8:2::1" });
const segment = (options: TcpFields["options"], more: Partial<TcpFields> = {}) =>
  tcp({ sourcePort: 40000, destinationPort: 443, flags: "S", ...more, ...(options ? { options } : {}) });
const usual = (mss: number) => ({ mss, sackPermitted: true, timestamps: { value: 7, echo: 0 }, windowScale: 7 });

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config: { mtu: 1400 } });
}, 60_000);

describe("lowers", () => {
  // Packets are made with right checksums, so these rows say that it is kept right too.
  test.each<[string, Layer[], (mss: number) => Layer, number, number, SendOptions?]>([
    ["IPv4 to MTU - 40", [header4], (mss) => segment(usual(mss)), 1460, 1360],
    ["IPv6 to MTU - 60", [header6], (mss) => segment(usual(mss)), 1440, 1340],
    ["jumbo frames' MSS", [header4], (mss) => segment({ mss }), 8960, 1360],
    ["the largest there is", [header6], (mss) => segment({ mss }), 65535, 1340],
    ["by one byte", [header4], (mss) => segment({ mss }), 1361, 1360],
    ["the answer's", [header4], (mss) => segment({ mss }, { flags: "SA" }), 1460, 1360],
    ["behind an IPv6 extension header", [header6, options(60)], (mss) => segment({ mss }), 1440, 1340],
    ["behind IPv4 options", [optional4()], (mss) => segment({ mss }), 1460, 1360],
    ["as the last of 40 bytes of options", [header6], (mss) => segment(late(mss)), 1440, 1340],
    ["at an odd offset", [header4], (mss) => segment(odd(mss)), 1460, 1360],
    [
      "with a checksum that the sender's card was to complete",
      [header4],
      (mss) => segment({ mss }, { checksum: "partial" }),
      1460,
      1360,
      { partial: true },
    ],
  ])("%s", (_name, headers, of, from, to, sent = {}) => {
    // A partial checksum covers the pseudo-header alone: it stays.
    expect(stage.send(packet(...headers, of(from)), sent)).toPass(packet(...headers, of(to)));
    expect(stage).toHaveCounter("clamped_connections", 1);
  });
});

describe("leaves alone", () => {
  test.each<[string, Uint8Array]>([
    ["a smaller MSS", packet(header4, segment({ mss: 1360 }))],
    ["a smaller MSS over IPv6", packet(header6, segment({ mss: 1220 }))],
    ["a SYN without the option", packet(header4, segment({}))],
    ["other segments", packet(header4, segment({}, { flags: "A" }), filler(100))],
    ["an option outside of a SYN", packet(header4, segment({ mss: 1460 }, { flags: "A" }))],
    ["an option of a wrong length", packet(header4, segment(hex("02 03 ff 00")))],
    ["an option that is cut short", packet(header4, segment(hex("01 01 02 04")))],
    ["other protocols", packet(header4, udp({ sourcePort: 40000, destinationPort: 443 }), hex("0204ffff"))],
    [
      "later fragments",
      fragmentsOf(packet(header4, segment({}, { flags: "A" }), filler(100)), { mtu: 60 })[1] as Uint8Array,
    ],
  ])("%s", (_name, sent) => {
    expect(stage.send(sent)).toLeaveUnchanged();
    expect(stage).toHaveCounter("clamped_connections", 0);
  });
});

test("the first fragment of a SYN is clamped like a whole one", () => {
  const [from, to] = [1460, 1360].map((mss) =>
    fragmentsOf(packet(header4, segment({ mss }), filler(100)), { mtu: 60 }),
  );
  expect(stage.send(from?.[0] as Uint8Array)).toPass(to?.[0]);
  expect(stage.send(from?.[1] as Uint8Array)).toLeaveUnchanged();
});

test("a new MTU holds from the next packet on; the trace shows what was asked for", () => {
  stage.configure({ mtu: 1280 });
  const sent = stage.send(packet(header6, segment({ mss: 1440 })));
  expect(sent).toPass(packet(header6, segment({ mss: 1220 })));
  expect(sent).toHaveTraced({ mss: 1440 });
});

test.each([
  [{ mtu: 1279 }, "mtu"],
  [{ mtu: 65536 }, "mtu"],
  [{ mss: 1300 }, "mss"],
])("%j is refused", async (config, path) => {
  await expect(loadPlugin(entry, { config })).rejects.toThrow(path);
});

test("example.pcap: of four SYNs three are clamped", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config: { mtu: 1400 } })).toMatchObject({
    packets: 5,
    verdicts: { pass: 5, drop: 0 },
    counters: { clamped_connections: 3 },
  });
});

function optional4(): Layer {
  return ipv4({ source: "10.1.0.1", destination: "192.0.2.1", options: hex("94040000 01010101") });
}
function late(mss: number): Uint8Array {
  return hex(`${"01".repeat(36)} 0204${mss.toString(16).padStart(4, "0")}`);
}
function odd(mss: number): Uint8Array {
  return hex(`01 0204${mss.toString(16).padStart(4, "0")} 010101`);
}
