import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { fragmentsOf, ipv4, loadPlugin, packet, runPcap, type SendResult, type Stage, udp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";
import { Client, segmentOf } from "./client.js";

const entry = new URL("../assembly/index.ts", import.meta.url);
const config = { protect: ["192.0.2.0/24", "2001:db8:2::/48"] };
const server4 = "192.0.2.1";
const server6 = "2001:db8:2::1";
const families: [string, string, string][] = [
  ["IPv4", "10.0.0.1", server4],
  ["IPv6", "2001:db8:1::1", server6],
];

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config });
}, 60_000);

const answered = (result: SendResult) => segmentOf(result.packet as Uint8Array);
/** The client sends a SYN and what it has to answer to what comes back. */
function prove(client: Client): SendResult {
  const reset = client.answer(answered(stage.send(client.syn())));
  return stage.send(reset as Uint8Array);
}

describe.each(families)("%s", (_family, source, destination) => {
  const client = new Client(source, destination);

  test("a client that is there connects: SYN, challenge, reset, SYN, and its options reach the server", () => {
    const challenge = stage.send(client.syn());
    expect(challenge).toReply();
    const segment = answered(challenge);
    expect(segment).toMatchObject({ sourcePort: 443, flags: 0x12 });
    expect([segment.destination, segment.source]).toEqual([
      segmentOf(client.syn()).source,
      segmentOf(client.syn()).destination,
    ]);
    const reset = client.answer(segment);
    expect(reset).toBeDefined();
    expect(stage.send(reset as Uint8Array)).toDrop("syn-proof");
    expect(stage.send(client.syn())).toLeaveUnchanged();
    expect(stage.counters).toMatchObject({ challenged_syns: 1, proofs: 1, passed_syns: 1 });
    expect(stage).toHaveGauge("trusted_sources", 1);
  });

  test("once a client proved itself, its next connections pass at once", () => {
    prove(client);
    expect(stage.send(new Client(source, destination, 40001, 7).syn())).toLeaveUnchanged();
  });

  test("a checksum that the sender's card was to complete stays one", () => {
    const whole = stage.send(client.syn()).packet as Uint8Array;
    const result = stage.send(client.syn("", "partial"), { partial: true });
    expect(result).toReply();
    // The pseudo-header's sum is the same in both directions, so it stays; all else is as in a whole packet.
    const expected = whole.slice();
    expected.set(checksumField(client.syn("", "partial")), whole.length - 44 + 16);
    expect(result).toReply(expected);
  });
});

/** Of a SYN, whose options take 24 bytes. */
const checksumField = (syn: Uint8Array) => syn.subarray(syn.length - 44 + 16, syn.length - 44 + 18);

describe("a flood from spoofed sources", () => {
  test("of 10,240 SYNs: each is answered with no more bytes than it had, none reaches the server, nothing is remembered", () => {
    for (let first = 0; first < 40; first++) {
      const syns = Array.from({ length: 256 }, (_, i) => new Client(`10.${first}.0.${i}`, server4).syn());
      for (const result of stage.burst(syns)) {
        expect(result.verdict).toBe("reply");
        expect(result.packet?.length).toBe(result.sent.length);
      }
    }
    expect(stage).toHaveCounter("challenged_syns", 10_240);
    expect(stage).toHaveGauge("trusted_sources", 0);
  }, 60_000);

  test("does not cost a proven client its place", () => {
    const client = new Client("10.0.0.1", server4);
    prove(client);
    stage.burst(Array.from({ length: 256 }, (_, i) => new Client(`11.0.0.${i}`, server4).syn()));
    expect(stage.send(new Client("10.0.0.1", server4, 40001).syn())).toPass();
  });
});

describe("a reset proves nothing", () => {
  const client = new Client("10.0.0.1", server4);
  const cookie = () => answered(stage.send(client.syn())).acknowledgment;

  test.each<[string, (cookie: number) => Uint8Array]>([
    ["with a guessed number", (cookie) => client.segment("R", cookie ^ 1)],
    ["from another source", (cookie) => new Client("10.0.0.2", server4).segment("R", cookie)],
    ["from another port", (cookie) => new Client("10.0.0.1", server4, 40001).segment("R", cookie)],
    ["to another server", (cookie) => new Client("10.0.0.1", "192.0.2.2").segment("R", cookie)],
    ["with ACK set", (cookie) => client.segment("RA", cookie)],
  ])("%s", (_name, reset) => {
    expect(stage.send(reset(cookie()))).toLeaveUnchanged();
    expect(stage).toHaveCounter("proofs", 0);
  });

  test("that comes two periods late", () => {
    const number = cookie();
    stage.advance(17_000);
    expect(stage.send(client.segment("R", number))).toDrop("syn-proof");
    stage.advance(35_000);
    expect(stage.send(client.segment("R", number))).toLeaveUnchanged();
  });
});

test("a cookie never acknowledges what the client sent, wherever its numbers begin", () => {
  const probe = answered(stage.send(new Client("10.0.0.1", server4).syn())).acknowledgment;
  for (const before of [0, 1, 2, 1000, 65_536]) {
    const client = new Client("10.0.0.1", server4, 40000, (probe - before + 2 ** 32) % 2 ** 32);
    const challenge = answered(stage.send(client.syn()));
    expect(challenge.acknowledgment).toBe((probe ^ 0x80000000) >>> 0);
  }
  const client = new Client("10.0.0.1", server4, 40000, probe - 1);
  expect(prove(client)).toDrop("syn-proof");
});

describe("a proven source", () => {
  const at = (port: number) => new Client("10.0.0.1", server4, port).syn();

  test("is asked again when its trust is over", () => {
    stage.configure({ ...config, trustSeconds: 10 });
    prove(new Client("10.0.0.1", server4));
    stage.advance(9_999);
    expect(stage.send(at(40001))).toPass();
    stage.advance(1);
    expect(stage.send(at(40002))).toReply();
  });

  test("opens so many connections a second and no more", () => {
    stage.configure({ ...config, perSource: 3 });
    prove(new Client("10.0.0.1", server4));
    for (const port of [1, 2, 3]) expect(stage.send(at(port))).toPass();
    expect(stage.send(at(4))).toDrop("syn-rate");
    stage.advance(1000);
    expect(stage.send(at(5))).toPass();
  });

  test("goes when 32768 others proved themselves after it", () => {
    const address = (i: number) => `10.1.${i >> 8}.${i & 255}`;
    prove(new Client("10.0.0.1", server4));
    for (let first = 0; first < 32_768; first += 256) {
      const clients = Array.from({ length: 256 }, (_, i) => new Client(address(first + i), server4));
      const challenges = stage.burst(clients.map((each) => each.syn()));
      stage.burst(clients.map((each, i) => each.answer(answered(challenges[i] as SendResult)) as Uint8Array));
    }
    expect(stage).toHaveGauge("trusted_sources", 32_768);
    expect(stage.send(at(40001))).toReply();
    expect(stage.send(new Client(address(32_767), server4, 40001).syn())).toPass();
  }, 120_000);
});

test("SYNs under the threshold pass unasked", () => {
  stage.configure({ ...config, threshold: 5 });
  const verdicts = Array.from({ length: 8 }, (_, i) => stage.send(new Client(`10.0.0.${i}`, server4).syn()).verdict);
  expect(verdicts).toEqual([...Array(5).fill("pass"), ...Array(3).fill("reply")]);
  stage.advance(200);
  expect(stage.send(new Client("10.0.1.1", server4).syn())).toPass();
});

describe("is left alone", () => {
  test.each<[string, Uint8Array]>([
    ["a SYN to other servers", new Client("10.0.0.1", "198.51.100.1").syn()],
    ["a SYN+ACK", new Client("10.0.0.1", server4).segment("SA", 1)],
    ["data", new Client("10.0.0.1", server4).segment("A", 1, {}, "data")],
    ["a FIN", new Client("10.0.0.1", server4).segment("FA", 1)],
    ["UDP", packet(ipv4({ source: "10.0.0.1", destination: server4 }), udp({ sourcePort: 1, destinationPort: 443 }))],
  ])("%s", (_name, sent) => {
    expect(stage.send(sent)).toLeaveUnchanged();
  });
});

test("a SYN in fragments is dropped: it cannot be answered", () => {
  const [first] = fragmentsOf(new Client("10.0.0.1", server4).syn("data".repeat(20)), { mtu: 100 });
  expect(stage.send(first as Uint8Array)).toDrop("syn-unanswerable");
});

test("a SYN with data (RFC 7413) is challenged like others", () => {
  expect(prove(new Client("10.0.0.1", server4, 40000, 5))).toDrop("syn-proof");
  const challenge = stage.send(new Client("10.0.0.2", server4).syn("early data"));
  expect(challenge).toReply();
});

test("SipHash-2-4's published vectors", async () => {
  const source = `import { Batch, Counter } from "@sluice/sdk";
    import { sipEnd, sipStart, sipWord } from "./siphash";
    const k0: u64 = 0x0706050403020100;
    const k1: u64 = 0x0f0e0d0c0b0a0908;
    const right = new Counter("right");
    @hook("forward") export function check(batch: Batch): void {
      sipStart(k0, k1);
      if (sipEnd(0) == 0x726fdb47dd0e0e31) right.add();
      sipStart(k0, k1);
      sipWord(k0);
      if (sipEnd(8) == 0x93f5f5799a932462) right.add();
      sipStart(k0, k1);
      sipWord(k0);
      sipWord(k1);
      if (sipEnd(16) == 0x3f2acc7f57c29bdb) right.add();
    }`;
  const { wasm } = await buildPlugin({
    source,
    entry: fileURLToPath(new URL("../assembly/vectors.ts", import.meta.url)),
  });
  const vectors = await loadPlugin(wasm);
  vectors.send(new Client("10.0.0.1", server4).syn());
  expect(vectors).toHaveCounter("right", 3);
}, 60_000);

test.each([
  [{}, "protect"],
  [{ protect: [] }, "protect"],
  [{ protect: ["192.0.2.1/33"] }, "protect[0]"],
  [{ ...config, trustSeconds: 0 }, "trustSeconds"],
  [{ ...config, perSource: 0 }, "perSource"],
])("%j is refused", async (config, message) => {
  await expect(loadPlugin(entry, { config })).rejects.toThrow(message);
});

test("example.pcap: a flood, of which every SYN is answered", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config })).toMatchObject({
    packets: 22,
    verdicts: { pass: 2, reply: 20 },
    counters: { challenged_syns: 20, proofs: 0 },
  });
});
