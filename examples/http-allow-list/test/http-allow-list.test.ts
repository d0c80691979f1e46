import { fileURLToPath } from "node:url";
import { fragmentsOf, ipv6, loadPlugin, options, packet, runPcap, type Stage, tcp } from "@sluice/sdk/testing";
import "@sluice/sdk/testing/matchers";
import { beforeEach, describe, expect, test } from "vitest";
import { Connection, get, head } from "./client.js";

const entry = new URL("../assembly/index.ts", import.meta.url);
const config = { allow: ["example.com", "*.example.org", "192.0.2.80"] };

let stage: Stage;
beforeEach(async () => {
  stage = await loadPlugin(entry, { config });
}, 60_000);
// In a packet thread, packets of one time are one burst.
const send: Stage["send"] = (...args) => stage.advance(1).send(...args);
const burst: Stage["burst"] = (...args) => stage.advance(1).burst(...args);
const opened = (...args: ConstructorParameters<typeof Connection>) => new Connection(...args).open(stage);

describe("segments", () => {
  const allowed = head("GET /index.html HTTP/1.1", "Accept: */*", "Host: www.example.org:80", "A: b");
  const denied = head("GET /index.html HTTP/1.1", "Accept: */*", "Host: www.example.net:80", "A: b");

  test("split at every byte, in bursts of their own and in one", () => {
    for (let cut = 1; cut < allowed.length; cut++) {
      for (const text of [allowed, denied]) {
        const parts = (connection: Connection) =>
          [text.slice(0, cut), text.slice(cut)].map((part) => connection.next(part));
        const apart = opened();
        const verdicts = parts(apart).map((part) => send(part).verdict);
        const together = burst(parts(opened())).map(({ verdict }) => verdict);
        expect(together).toEqual(verdicts);
        expect(verdicts.includes("drop")).toBe(text === denied);
      }
    }
    expect(stage).toHaveCounter("allowed_connections", 2 * (allowed.length - 1));
    expect(stage).toHaveCounter("refused_connections", 2 * (allowed.length - 1));
  }, 60_000);

  test("of one byte each", () => {
    const connection = opened();
    const segments = [...`${allowed}body`].map((byte) => connection.next(byte));
    for (const result of burst(segments)) expect(result).toPass();
    expect(stage).toHaveCounter("allowed_connections", 1);
    expect(stage).toHaveGauge("open_heads", 0);
  });

  test("that come again pass, and are not read twice", () => {
    const connection = opened();
    const first = connection.next(allowed.slice(0, 30));
    for (const again of [first, first, connection.at(10, allowed.slice(10, 20))]) {
      expect(send(again)).toLeaveUnchanged();
    }
    expect(send(connection.at(5, allowed.slice(5)))).toLeaveUnchanged();
    expect(send(first)).toLeaveUnchanged();
    expect(stage).toHaveCounter("allowed_connections", 1);
  });

  test("behind a gap are dropped, and pass when they come again", () => {
    const connection = opened();
    const [first, second] = [connection.next(allowed.slice(0, 30)), connection.next(allowed.slice(30))];
    expect(send(second)).toDrop("http-out-of-order");
    expect(stage).toHaveGauge("open_heads", 0);
    expect(send(first)).toPass();
    expect(send(connection.at(40, allowed.slice(40)))).toDrop("http-out-of-order");
    expect(send(second)).toPass();
  });

  test("whose numbers wrap around", () => {
    const connection = opened(4, 80, 2 ** 32 - 20);
    expect(send(connection.next(allowed.slice(0, 40)))).toPass();
    expect(send(connection.next(allowed.slice(40)))).toPass();
    expect(stage).toHaveCounter("allowed_connections", 1);
  });

  test("without payload pass in any state", () => {
    const connection = opened();
    const empty = (flags: string) => connection.at(3, "", { flags });
    expect(send(empty("A"))).toPass();
    send(connection.next(denied));
    for (const flags of ["A", "FA"]) expect(send(empty(flags))).toPass();
  });

  test("with urgent data, which the server may take out of the head, are refused", () => {
    expect(send(opened().at(0, allowed, { flags: "APU" }))).toDrop("http-malformed");
  });

  test("in fragments are dropped: their end could be another's", () => {
    const [first, second] = fragmentsOf(opened().next(allowed + "x".repeat(400)), { mtu: 200 });
    expect(send(first as Uint8Array)).toDrop("http-hidden");
    expect(send(second as Uint8Array)).toLeaveUnchanged();
  });

  test("whose first fragment has no ports are dropped, for any port", () => {
    for (const family of [4, 6] as const) {
      const mtu = family === 4 ? 28 : 56;
      const [first, second] = fragmentsOf(new Connection(family, 443).next("x".repeat(100)), { mtu });
      expect(send(first as Uint8Array)).toDrop("http-hidden");
      expect(send(second as Uint8Array)).toLeaveUnchanged();
    }
  });

  test("behind many IPv6 extension headers are dropped", () => {
    const header = ipv6({ source: "2001:db8:1::1", destination: "2001:db8:2::80" });
    const ports = tcp({ sourcePort: 40000, destinationPort: 80, flags: "A" });
    expect(send(packet(header, options(60, 128), ports, denied))).toDrop("http-hidden");
  });

  test("in a super-frame are one", () => {
    expect(send(opened().next(get("example.com") + "x".repeat(1700)), { gsoSize: 600 })).toLeaveUnchanged();
    expect(send(opened().next(get("evil.test") + "x".repeat(1700)), { gsoSize: 600 })).toDrop("host-denied");
  });
});

describe("a connection", () => {
  test("is judged by its first request only", () => {
    const connection = opened();
    expect(send(connection.next(get("example.com")))).toPass();
    expect(send(connection.next(get("evil.test")))).toLeaveUnchanged();
  });

  test("that was refused stays so", () => {
    const connection = opened();
    const refused = connection.next(get("evil.test"));
    expect(send(refused)).toDrop("host-denied");
    expect(send(refused)).toDrop("http-refused");
    expect(send(connection.at(0, get("example.com")))).toDrop("http-refused");
    expect(stage).toHaveCounter("refused_connections", 1);
  });

  test("that was refused stays so in the same burst", () => {
    const connection = opened();
    const [begin, other] = [connection.at(0, "GET / HTTP/1.1\r\nHost: evil.t"), connection.at(0, get("example.com"))];
    const results = burst([begin, connection.at(28, "est\r\n"), other]);
    expect(results.map(({ reason }) => reason)).toEqual([undefined, "host-denied", "http-refused"]);
    expect(send(other)).toDrop("http-refused");
  });

  test("that was allowed sends its body in the same burst", () => {
    const connection = opened();
    const results = burst([connection.next(get("example.com")), connection.next("body"), connection.next("more")]);
    expect(results.map(({ verdict }) => verdict)).toEqual(["pass", "pass", "pass"]);
    expect(send(connection.next("last"))).toLeaveUnchanged();
  });

  test("begins where the server says it does", () => {
    const connection = new Connection();
    // The server takes the second SYN; what the first would make the beginning is a later request.
    send(connection.syn(connection.initial + 200));
    send(connection.syn());
    send(connection.synAck());
    expect(send(connection.at(200, get("example.com")))).toDrop("http-out-of-order");
    send(connection.syn(connection.initial + 200));
    expect(send(connection.at(200, get("example.com")))).toDrop("http-out-of-order");
    expect(send(connection.at(0, get("evil.test")))).toDrop("host-denied");
  });

  test("that takes the place of another with the same ports is judged anew", () => {
    const connection = opened();
    expect(send(connection.next(get("example.com")))).toPass();
    send(connection.synAck());
    expect(send(connection.next("body"))).toPass();
    send(connection.synAck(90_000));
    const sequence = 90_001;
    expect(send(connection.at(0, get("evil.test"), { sequence }))).toDrop("host-denied");
  });

  test("that takes the place of one whose head was read in part is read from its beginning", () => {
    const connection = opened();
    expect(send(connection.next("GET / HTTP/1.1\r\n"))).toPass();
    send(connection.synAck(90_000));
    expect(send(connection.at(0, get("example.com"), { sequence: 90_001 }))).toPass();
    expect(stage).toHaveCounter("allowed_connections", 1);
  });

  test("is not begun anew by what the server acknowledges later", () => {
    const connection = opened();
    send(connection.next("GET / HTTP/1.1\r\n"));
    send(connection.fromServer("", { flags: "A", sequence: 5001, acknowledgment: 1017 }));
    expect(send(connection.next("Host: example.com\r\n\r\n"))).toPass();
  });

  test("whose beginning was not seen gets no data through", () => {
    const connection = new Connection();
    expect(send(connection.at(0, "", { flags: "A" }))).toPass();
    expect(send(connection.next(get("example.com")))).toDrop("http-unknown");
  });

  test("without a flow gets no data through", () => {
    const connection = new Connection();
    expect(send(connection.next(get("example.com")), { flow: false })).toDrop("http-unknown");
    expect(send(connection.at(0, "", { flags: "A" }), { flow: false })).toPass();
  });

  test("that the node saw first from the server's side gets no data through", () => {
    const connection = new Connection();
    expect(send(connection.fromServer("x", { flags: "A", sequence: 1 }))).toPass();
    expect(send(connection.next(get("evil.test")))).toDrop("http-unknown");
  });

  test("cannot begin with data in its SYN", () => {
    expect(send(new Connection().syn(1000, get("example.com")))).toDrop("http-hidden");
  });

  test("has answers that pass", () => {
    const connection = opened();
    send(connection.next(get("example.com")));
    expect(send(connection.fromServer("HTTP/1.1 200 OK\r\n\r\n", { sequence: 5001 }))).toLeaveUnchanged();
  });
});

describe("reset: true", () => {
  beforeEach(() => stage.configure({ ...config, reset: true }));

  test.each([4, 6] as const)("tells the client, in IPv%i", (family) => {
    const connection = opened(family);
    const result = send(connection.next(get("evil.test")));
    expect(result).toDrop("host-denied");
    expect(result).toHaveEmitted(connection.reset());
    expect(stage).toHaveCounter("resets", 1);
  });

  test("tells it again when it goes on", () => {
    const connection = opened();
    send(connection.next(get("evil.test")));
    expect(send(connection.at(0, get("evil.test")))).toHaveEmitted(connection.reset());
  });

  test("says nothing to what comes out of order", () => {
    expect(send(opened().at(7, "x"))).toHaveEmitted();
  });
});

test("without reset nothing is sent", () => {
  expect(send(opened().next(get("evil.test")))).toHaveEmitted();
});

test("other ports, by configuration", () => {
  expect(send(opened(4, 8080).next(get("evil.test")))).toLeaveUnchanged();
  stage.configure({ ...config, ports: [8080, 8081] });
  expect(send(opened(4, 8081).next(get("evil.test")))).toDrop("host-denied");
  expect(send(opened(4, 80).next(get("evil.test")))).toLeaveUnchanged();
});

test("with 16384 open heads the table is full: who was silent for longest has to begin a new connection", () => {
  // After a configure nothing is sent to a packet thread too: one row there has fewer buffers than this takes.
  stage.configure(config);
  const [oldest, kept] = [opened(), opened()];
  send(oldest.next("GET / HT"));
  send(kept.next("GET / HT"));
  for (let first = 0; first < 16_384; first += 128) {
    const others = Array.from({ length: 128 }, (_, i) => {
      const at = first + i;
      return new Connection(4, 80, 1000, `11.0.${at >> 8}.${at & 255}`);
    });
    for (const step of [
      (it: Connection) => it.syn(),
      (it: Connection) => it.synAck(),
      (it: Connection) => it.next("G"),
    ]) {
      burst(others.map(step));
    }
    if (first === 8192) send(kept.next("TP/1.1\r\n"));
  }
  expect(stage).toHaveGauge("open_heads", 16_384);
  expect(send(kept.next("Host: example.com\r\n\r\n"))).toPass();
  expect(send(oldest.next("TP/1.1\r\n"))).toDrop("http-unknown");
  expect(send(oldest.at(0, get("example.com")))).toDrop("http-refused");
}, 60_000);

test("without a configuration everything passes", async () => {
  const bare = await loadPlugin(entry);
  expect(bare.send(new Connection().next(get("evil.test")))).toPass();
}, 60_000);

test.each([
  [{}, "allow"],
  [{ allow: [] }, "allow"],
  [{ allow: ["a..b"] }, "a..b"],
  [{ allow: ["example.com:80"] }, "example.com:80"],
  [{ allow: ["*"] }, "no host name"],
  [{ allow: ["www.*.com"] }, "no host name"],
  [{ allow: ["*.1.2.3.4.5.6.7.8.9"] }, "more than 8 labels"],
  [{ allow: ["a".repeat(64)] }, "no host name"],
  [{ allow: ["a"], ports: [] }, "ports"],
  [{ allow: ["a"], ports: [0] }, "port 0"],
  [{ allow: ["a"], ports: [65536] }, "ports[0]"],
  [{ allow: ["a"], maxHeadBytes: 63 }, "maxHeadBytes"],
  [{ allow: ["a"], maxHeadBytes: 32769 }, "maxHeadBytes"],
])(
  "%j is refused",
  async (wrong, message) => {
    await expect(loadPlugin(entry, { config: wrong })).rejects.toThrow(message);
  },
  60_000,
);

test("example.pcap: a host on the list, in two segments; another host; none; data of a connection that began before", async () => {
  const capture = fileURLToPath(new URL("../example.pcap", import.meta.url));
  expect(await runPcap({ plugin: entry, in: capture, config: { ...config, reset: true } })).toMatchObject({
    packets: 12,
    verdicts: { pass: 9, drop: 3 },
    reasons: { "host-denied": 1, "host-missing": 1, "http-unknown": 1 },
    counters: { allowed_connections: 1, refused_connections: 2, resets: 3 },
  });
}, 60_000);
