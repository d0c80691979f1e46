import { loadPlugin, type Stage } from "@sluice/sdk/testing";
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
const opened = (...args: ConstructorParameters<typeof Connection>) => new Connection(...args).open(stage);

describe("hosts", () => {
  test.each<[string, boolean]>([
    ["example.com", true],
    ["EXAMPLE.Com", true],
    ["example.com:80", true],
    ["example.com:8080", true],
    ["example.com:", true],
    ["  example.com\t ", true],
    ["example.com:80 ", true],
    ["www.example.com", false],
    ["example.co", false],
    ["example.comm", false],
    ["www.example.org", true],
    ["WWW.EXAMPLE.ORG:80", true],
    ["a.b.example.org", true],
    ["1.2.3.4.5.6.7.8.9.10.11.example.org", true],
    ["1.2.3.4.5.6.7.8.9.10.11.example.net", false],
    ["example.org", false],
    ["notexample.org", false],
    ["www.example.org.evil.test", false],
    [".example.org", false],
    ["www..example.org", false],
    ["www.example.org.", false],
    ["192.0.2.80", true],
    ["192.0.2.81", false],
    ["[2001:db8:2::80]", false],
    ["evil.test", false],
    ["", false],
    [":80", false],
    ["example.com evil.test", false],
    ["example.com,evil.test", false],
    ["example.com:80x", false],
    ["evil.test@example.com", false],
  ])("'%s' may be asked for: %s", (host, isAllowed) => {
    for (const family of [4, 6] as const) {
      const result = send(opened(family).next(get(host)));
      if (isAllowed) expect(result).toLeaveUnchanged();
      else expect(result).toDrop("host-denied");
    }
    expect(stage).toHaveCounter("allowed_connections", isAllowed ? 2 : 0);
    expect(stage).toHaveCounter("refused_connections", isAllowed ? 0 : 2);
  });
});

describe("a head", () => {
  const good = "Host: example.com";
  test.each<[string, string, string | undefined]>([
    ["of HTTP/1.0 with a host", get("example.com", "1.0"), undefined],
    ["of HTTP/1.0 without a host", head("GET / HTTP/1.0"), "host-missing"],
    ["without a host", head("GET / HTTP/1.1", "Accept: */*"), "host-missing"],
    ["with other lines before and behind", head("POST /a?b HTTP/1.1", "A: b", good, "X-Host: evil.test"), undefined],
    ["with an empty value, and one with a tab", head("GET / HTTP/1.1", "A:", "B: \t", good), undefined],
    ["with the name in other case", head("GET / HTTP/1.1", "hOsT:example.com"), undefined],
    ["for no one path", head("OPTIONS * HTTP/1.1", good), undefined],
    [
      "with names that begin or end like Host",
      head("GET / HTTP/1.1", "Hosts: a", "Hos: b", good, "XHost: c"),
      undefined,
    ],
    ["with a body behind it", `${get("example.com")}Host: evil.test\r\n`, undefined],
    ["with two hosts", head("GET / HTTP/1.1", good, "Host: evil.test"), "host-repeated"],
    ["with one host twice", head("GET / HTTP/1.1", good, good), "host-repeated"],
    ["with a folded line", head("GET / HTTP/1.1", "A: b", " c", good), "http-malformed"],
    ["with a folded host", head("GET / HTTP/1.1", "Host:", "\texample.com"), "host-denied"],
    ["whose first field is folded", head("GET / HTTP/1.1", ` ${good}`), "http-malformed"],
    ["with a blank before the colon", head("GET / HTTP/1.1", "Host : example.com"), "http-malformed"],
    ["with a line without a colon", head("GET / HTTP/1.1", "Host", good), "http-malformed"],
    ["with a line without a name", head("GET / HTTP/1.1", ": a", good), "http-malformed"],
    ["of HTTP/0.9", "GET /\r\n", "http-malformed"],
    ["of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http-malformed"],
    ["of HTTP/1.2", get("example.com", "1.2"), "http-malformed"],
    ["with a version that goes on", get("example.com", "1.10"), "http-malformed"],
    ["in absolute form", head("GET http://evil.test/ HTTP/1.1", good), "http-no-path"],
    ["of CONNECT", head("CONNECT evil.test:443 HTTP/1.1", good), "http-no-path"],
    ["with two blanks before its target", head("GET  http://evil.test/ HTTP/1.1", good), "http-malformed"],
    ["with a tab in its first line", head("GET\t/ HTTP/1.1", good), "http-malformed"],
    ["without a method", head(" / HTTP/1.1", good), "http-malformed"],
    ["behind an empty line", `\r\n${get("example.com")}`, "http-malformed"],
    ["with lines that end without CR", "GET / HTTP/1.1\nHost: example.com\n\n", "http-malformed"],
    ["with a CR alone", head(`GET / HTTP/1.1\r${good}`), "http-malformed"],
    ["with a line feed in a value", head("GET / HTTP/1.1", "A: b\nHost: evil.test", good), "http-malformed"],
    ["with a zero byte", head("GET / HTTP/1.1", "A: \0", good), "http-malformed"],
    ["with a CR alone at its end", `GET / HTTP/1.1\r\n${good}\r\n\rx`, "http-malformed"],
    ["of TLS", "\x16\x03\x01\x02\0\x01\0", "http-malformed"],
  ])("%s", (_name, sent, reason) => {
    for (const family of [4, 6] as const) {
      const result = send(opened(family).next(Buffer.from(sent, "latin1")));
      if (reason) expect(result).toDrop(reason);
      else expect(result).toLeaveUnchanged();
    }
  });

  test("may have 8192 bytes, or what the configuration says", () => {
    const sized = (bytes: number, line = "A: ") =>
      head(
        "GET / HTTP/1.1",
        "Host: example.com",
        line + "x".repeat(bytes - get("example.com").length - line.length - 2),
      );
    expect(sized(8192)).toHaveLength(8192);
    expect(send(opened().next(sized(8192)))).toPass();
    expect(send(opened().next(sized(8193)))).toDrop("http-too-long");
    stage.configure({ ...config, maxHeadBytes: 100 });
    expect(send(opened().next(sized(100)))).toPass();
    expect(send(opened().next(sized(101)))).toDrop("http-too-long");
    const slow = opened();
    expect(send(slow.next(sized(101).slice(0, 99)))).toPass();
    expect(send(slow.next("x"))).toDrop("http-too-long");
    const cut = opened();
    expect(send(cut.next(sized(101).slice(0, 99)))).toPass();
    stage.configure({ ...config, maxHeadBytes: 64 });
    expect(send(cut.next("x"))).toDrop("http-too-long");
  });

  test("may be followed by more than it may have", () => {
    stage.configure({ ...config, maxHeadBytes: 64 });
    expect(send(opened().next(get("example.com") + "x".repeat(1000)))).toPass();
  });
});
