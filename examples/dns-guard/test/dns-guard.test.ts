import { fileURLToPath } from "node:url";
import {
  dnsQuery,
  filler,
  fragmentsOf,
  hex,
  ipv4,
  ipv6,
  loadPlugin,
  options,
  packet,
  runPcap,
  type Stage,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";
import { answer4, answer6, ask, message, opt, query4, query6, question } from "./queries.js";

const entry = new URL("../assembly/index.ts", import.meta.url);
const deny = ["bad.example", "ads.example.com", "co.test."];

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config: { deny } });
}, 60_000);

describe("names", () => {
  test.each<[string, boolean]>([
    ["bad.example", true],
    ["www.bad.example", true],
    ["a.b.c.d.bad.example", true],
    ["BAD.Example", true],
    ["co.test", true],
    ["notbad.example", false],
    ["bad.example.org", false],
    ["example", false],
    ["example.com", false],
    ["ads.example.com", true],
    ["ads.example.co", false],
    ["", false],
  ])("'%s' is denied: %s", (name, isDenied) => {
    for (const sent of [query4(ask(name)), query6(ask(name, "AAAA"))]) {
      const result = stage.send(sent);
      if (isDenied) expect(result).toDrop("dns-name-denied");
      else expect(result).toLeaveUnchanged();
    }
    expect(stage).toHaveCounter("queries", 2);
  });

  test("a label with a dot in it is not two labels", () => {
    expect(stage.send(query4(message(question(Buffer.from("\x0bbad.example", "latin1")))))).toLeaveUnchanged();
  });

  test("the longest name that there is: 127 labels in 255 bytes", () => {
    const one = "\x01a".repeat(121);
    expect(stage.send(query4(message(question(Buffer.from(`${one}\x03bad\x07example`, "latin1")))))).toDrop(
      "dns-name-denied",
    );
    expect(stage.send(query4(message(question(Buffer.from("\x01a".repeat(127), "latin1")))))).toLeaveUnchanged();
    expect(stage.send(query4(message(question(Buffer.from("\x01a".repeat(128), "latin1")))))).toDrop("dns-malformed");
  });
});

describe("types", () => {
  test.each<[Parameters<typeof ask>[1], boolean]>([
    ["A", false],
    ["AAAA", false],
    ["TXT", false],
    [65, false],
    ["ANY", true],
    [252, true],
    [65535, false],
  ])("%s is denied: %s", (type, isDenied) => {
    const result = stage.send(query4(ask("example.org", type)));
    if (isDenied) expect(result).toDrop("dns-type-denied");
    else expect(result).toLeaveUnchanged();
  });

  test("are those of the configuration; the trace shows them", async () => {
    stage.configure({ denyTypes: [16] });
    expect(stage.send(query4(ask("example.org", "TXT")))).toDrop("dns-type-denied");
    const passed = stage.send(query4(ask("example.org", "ANY")));
    expect(passed).toLeaveUnchanged();
    expect(passed).toHaveTraced({ query_type: 255 });
  });
});

describe("a message is malformed", () => {
  const name = Buffer.from("\x03www\x07example\x03org", "latin1");
  const whole = message(question(name));
  test.each<[string, Uint8Array]>([
    ["that is empty", Buffer.alloc(0)],
    ["with half a header", whole.subarray(0, 11)],
    ["without its question", whole.subarray(0, 12)],
    ["that ends in its name", whole.subarray(0, 20)],
    ["that ends before its type", whole.subarray(0, whole.length - 4)],
    ["that ends in its class", whole.subarray(0, whole.length - 1)],
    ["that is an answer", message(question(name), [1, 0, 0, 0], 0x8180)],
    ["that is an update", message(question(name), [1, 0, 0, 0], 0x2800)],
    ["with no question", message(question(name), [0, 0, 0, 0])],
    ["with two questions", message(Buffer.concat([question(name), question(name)]), [2, 0, 0, 0])],
    ["with answers", message(question(name), [1, 1, 0, 0])],
    ["with authority records", message(question(name), [1, 0, 1, 0])],
    ["with three additional records", message(Buffer.concat([question(name), opt(), opt(), opt()]), [1, 0, 0, 3])],
    ["with a compressed name", message(hex("c00c 0001 0001"))],
    ["with a label type that does not exist", message(hex("41 61 00 0001 0001"))],
    ["with a label that is longer than the message", message(hex("3f 61 00 0001 0001"))],
    ["of random bytes", filler(40)],
  ])("%s", (_name, sent) => {
    expect(stage.send(query4(sent))).toDrop("dns-malformed");
    expect(stage.send(query6(sent))).toDrop("dns-malformed");
  });

  test("but not one with EDNS", () => {
    expect(stage.send(query4(message(Buffer.concat([question(name), opt()]), [1, 0, 0, 1])))).toLeaveUnchanged();
  });

  test("and bytes behind the UDP datagram are not read", () => {
    const padded = packet(
      ipv4({ source: "10.1.0.1", destination: "192.0.2.53" }),
      udp({ sourcePort: 40000, destinationPort: 53, length: 8 + 20, checksum: 0 }),
      whole,
    );
    expect(stage.send(padded)).toDrop("dns-malformed");
  });
});

describe("size", () => {
  const sized = (bytes: number) => {
    const name = Buffer.from("\x03www\x07example\x03org", "latin1");
    const bare = message(question(name)).length;
    return message(Buffer.concat([question(name), opt(bytes - bare - 15)]), [1, 0, 0, 1]);
  };

  test("512 bytes pass, 513 do not", () => {
    expect(sized(512)).toHaveLength(512);
    expect(stage.send(query4(sized(512)))).toLeaveUnchanged();
    expect(stage.send(query6(sized(513)))).toDrop("dns-oversized");
    expect(stage).toHaveHistogram("query_bytes", { sum: 1025 });
  });

  test("the limit is the configuration's", () => {
    stage.configure({ maxBytes: 4096 });
    expect(stage.send(query6(sized(1200)))).toLeaveUnchanged();
  });

  test("a query in fragments does not pass, so that its end cannot hide anything", () => {
    const [first, second] = fragmentsOf(query4(sized(400)), { mtu: 200 });
    expect(stage.send(first as Uint8Array)).toDrop("dns-oversized");
    expect(stage.send(second as Uint8Array)).toLeaveUnchanged();
  });

  test("nor does a super-frame of queries", () => {
    expect(stage.send(query4(filler(2000)), { gsoSize: 100 })).toDrop("dns-oversized");
  });
});

describe("refuse: true", () => {
  beforeEach(() => stage.configure({ deny, refuse: true }));

  test("answers a denied name or type in the server's place", () => {
    const refusal = (name: string, type: "A" | "ANY") => dnsQuery({ name, type, flags: 0x8105 });
    expect(stage.send(query4(ask("bad.example")))).toReply(answer4(refusal("bad.example", "A")));
    expect(stage.send(query6(ask("example.org", "ANY")))).toReply(answer6(refusal("example.org", "ANY")));
    expect(stage).toHaveCounter("refused_queries", 2);
  });

  test("leaves a checksum out where the query has none", () => {
    const result = stage.send(query4(ask("bad.example"), { checksum: 0 }));
    expect(result).toReply();
    expect(result).toLeaveAs({ "udp.checksum": "0000" });
  });

  test("never answers what is malformed", () => {
    expect(stage.send(query4(filler(40)))).toDrop("dns-malformed");
  });
});

describe("what is not read", () => {
  const over = (destinationPort: number) =>
    packet(
      ipv4({ source: "10.1.0.1", destination: "192.0.2.53" }),
      tcp({ sourcePort: 40000, destinationPort, flags: "S" }),
    );

  test("other ports, and answers of servers", () => {
    expect(stage.send(answer4(filler(600)))).toLeaveUnchanged();
    expect(stage.send(query4(filler(600), { destinationPort: 5353 }))).toLeaveUnchanged();
    expect(stage).toHaveCounter("queries", 0);
  });

  test("TCP passes, unless it is denied", () => {
    expect(stage.send(over(53))).toLeaveUnchanged();
    stage.configure({ denyTcp: true });
    expect(stage.send(over(53))).toDrop("dns-over-tcp");
    expect(stage.send(over(443))).toLeaveUnchanged();
  });

  test("UDP behind many IPv6 extension headers does not pass: it could be a query", () => {
    const header = ipv6({ source: "2001:db8:1::1", destination: "2001:db8:2::53" });
    const ports = udp({ sourcePort: 40000, destinationPort: 53 });
    expect(stage.send(packet(header, options(60, 16), ports, ask("bad.example")))).toDrop("dns-name-denied");
    expect(stage.send(packet(header, options(60, 128), ports, ask("bad.example")))).toDrop("udp-hidden");
  });
});

test("another port", () => {
  stage.configure({ deny, port: 5353 });
  expect(stage.send(query4(ask("bad.example"), { destinationPort: 5353 }))).toDrop("dns-name-denied");
  expect(stage.send(query4(ask("bad.example")))).toLeaveUnchanged();
});

test("20,000 denied names", () => {
  stage.configure({ deny: Array.from({ length: 20_000 }, (_, i) => `host${i}.example.net`) });
  expect(stage.send(query4(ask("www.host19999.example.net")))).toDrop("dns-name-denied");
  expect(stage.send(query4(ask("host20000.example.net")))).toLeaveUnchanged();
});

test.each([
  [{ deny: ["a..b"] }, "a..b"],
  [{ deny: [""] }, "no domain name"],
  [{ deny: ["a".repeat(64)] }, "no domain name"],
  [{ deny: ["a b"] }, "a b"],
  [{ deny: [7] }, "deny[0]"],
  [{ denyTypes: [65536] }, "denyTypes[0]"],
  [{ maxBytes: 11 }, "maxBytes"],
  [{ port: 0 }, "port"],
])("%j is refused", async (config, message) => {
  await expect(loadPlugin(entry, { config })).rejects.toThrow(message);
});

test("example.pcap", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config: { deny: ["bad.example"], refuse: true } })).toMatchObject({
    packets: 6,
    verdicts: { pass: 2, drop: 2, reply: 2 },
    reasons: { "dns-oversized": 1, "dns-malformed": 1 },
    counters: { queries: 5, refused_queries: 2 },
  });
});
