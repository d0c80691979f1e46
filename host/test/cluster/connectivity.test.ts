import { afterEach, describe, expect, test } from "vitest";
import { TABLE_WIDTH } from "../../src/cli/output.js";
import { connectivityText } from "../../src/cli/views/connectivity.js";
import { hostAndPort, judge, openChecks, policyChecks, type World } from "../../src/connectivity/checks.js";
import { podObject, rolesOf } from "../../src/connectivity/objects.js";
import { runProbes } from "../../src/connectivity/probe.js";
import { HTTP_PORT, ProbeServer, UDP_PORT } from "../../src/connectivity/server.js";
import { outcome } from "./samples.js";

const address = (host: number) => ({ v4: `10.244.0.${host}`, v6: `fd00::${host}` });
const world = (change: Partial<World> = {}): World => ({
  namespace: "test",
  pods: new Map([
    ["client", { node: "node1", addresses: address(1) }],
    ["stranger", { node: "node1", addresses: address(2) }],
    ["near", { node: "node1", addresses: address(3) }],
    ["far", { node: "node2", addresses: address(4) }],
  ]),
  service: { v4: "10.96.0.9", v6: "fd96::9" },
  nodePorts: { tcp: 30080, udp: 30081 },
  nodes: new Map([
    ["node1", { v4: "172.31.0.1", v6: "fd31::1" }],
    ["node2", { v4: "172.31.0.2", v6: "fd31::2" }],
  ]),
  outside: [],
  ...change,
});

describe("a test's calls", () => {
  test("go over all paths, both transports and both families", () => {
    const paths = new Set(openChecks(world()).map(({ path, transport, family }) => `${path} ${transport} ${family}`));
    for (const path of [
      "pod to pod, same node",
      "pod to pod, other node",
      "pod to service (ClusterIP)",
      "pod to NodePort",
      "node to pod",
      "node to service (ClusterIP)",
    ])
      for (const transport of ["tcp", "udp"])
        for (const family of ["v4", "v6"]) expect(paths).toContain(`${path} ${transport} ${family}`);
    expect(paths).toContain("pod to service by DNS tcp undefined");
  });

  test("of a cluster with one node and one family are those that it can have", () => {
    const pods = new Map(
      [...world().pods]
        .filter(([role]) => role !== "far")
        .map(([role, { node, addresses }]) => [role, { node, addresses: { v4: addresses.v4 ?? "" } }] as const),
    );
    const small = world({ pods, service: { v4: "10.96.0.9" }, nodes: new Map([["node1", { v4: "172.31.0.1" }]]) });
    const checks = [...openChecks(small), ...policyChecks(small)];
    expect(new Set(checks.map(({ family }) => family))).toEqual(new Set(["v4", undefined]));
    expect(checks.some(({ path, to }) => path.includes("other node") || to === "far")).toBe(false);
    expect(rolesOf({ image: "i", nodes: ["node1"] })).toEqual(["client", "stranger", "near"]);
  });

  test.each([
    ["192.0.2.1:443", "v4", { kind: "open", host: "192.0.2.1", port: 443 }],
    ["[2001:db8::1]:443", "v6", { kind: "open", host: "2001:db8::1", port: 443 }],
    ["https://example.com/a", undefined, { kind: "url", host: "https://example.com/a" }],
  ])("to the outside: %s", (target, family, probe) => {
    const check = openChecks(world({ outside: [target] })).find(({ path }) => path === "pod to outside");
    expect(check).toMatchObject({ probe });
    expect(check?.family).toBe(family);
    if (!target.includes("//")) expect(hostAndPort(target).port).toBe(443);
  });

  test("run in pods that the strictest admission takes", () => {
    const pod = JSON.stringify(podObject("near", { image: "i", nodes: ["node1"] }));
    for (const part of [
      '"runAsNonRoot":true',
      '"RuntimeDefault"',
      '"drop":["ALL"]',
      '"automountServiceAccountToken":false',
    ])
      expect(pod).toContain(part);
  });
});

describe("a call", () => {
  const { check } = outcome({ servers: ["far"], client: "10.244.0.1" });
  const answered = { id: "0", ok: true, server: "far", client: "10.244.0.1", ms: 2 };
  test.each([
    ["was answered", check, answered, ""],
    ["was not", check, { id: "0", ok: false, error: "no answer", ms: 3 }, "no answer"],
    ["was answered by another", check, { ...answered, server: "near" }, "near answered"],
    ["was seen as another's", check, { ...answered, client: "172.31.0.1" }, "the server saw 172.31.0.1 as the caller"],
    ["was not made", check, undefined, "the call was not made"],
    ["was refused as it should", { ...check, allowed: false }, { id: "0", ok: false, error: "no answer", ms: 3 }, ""],
    ["was answered though forbidden", { ...check, allowed: false }, answered, "was answered, which the policy forbids"],
  ])("that %s", (_, of, result, error) => expect(judge(of, result)).toMatchObject({ ok: error === "", error }));
});

describe("the matrix", () => {
  const outcomes = [
    outcome(),
    outcome({ transport: "udp" }, "no answer"),
    outcome({ path: "policy denies", to: "near", allowed: false }, "was answered, which the policy forbids"),
  ];
  test("has a row a path, and below it what failed and where to look", () => {
    const text = connectivityText("ns", outcomes, 3);
    expect(text).toMatch(/^pod to pod, other node +client +far +ok +FAIL +- +-$/m);
    expect(text).toMatch(/^policy denies +client +near +FAIL +- +- +-$/m);
    expect(text).toContain("2 of 3 calls did not go as they should");
    expect(text).toContain("look at: sluice observe --verdict dropped --pod ns/client; sluice trace host 10.244.1.9;");
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_WIDTH);
  });
});

describe("a pod's server and its caller", () => {
  let server: ProbeServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  const patience = { timeoutMs: 2000, tries: 1, bytes: 0 };

  test("speak TCP and UDP over both families, and tell a call that nobody answers", async () => {
    server = await ProbeServer.start("me");
    const results = await runProbes([
      { id: "tcp4", kind: "tcp", host: "127.0.0.1", port: HTTP_PORT, ...patience, bytes: 100_000 },
      { id: "tcp6", kind: "tcp", host: "::1", port: HTTP_PORT, ...patience },
      { id: "udp4", kind: "udp", host: "127.0.0.1", port: UDP_PORT, ...patience },
      { id: "udp6", kind: "udp", host: "::1", port: UDP_PORT, ...patience },
      { id: "open", kind: "open", host: "127.0.0.1", port: HTTP_PORT, ...patience },
      { id: "url", kind: "url", host: `http://127.0.0.1:${HTTP_PORT}/`, port: 0, ...patience },
      { id: "nobody", kind: "open", host: "127.0.0.1", port: 1, ...patience, tries: 2 },
    ]);
    const told = results.map(({ id, ok, server: who, client }) => [id, ok, who, client]);
    expect(told).toEqual([
      ["tcp4", true, "me", "127.0.0.1"],
      ["tcp6", true, "me", "::1"],
      ["udp4", true, "me", "127.0.0.1"],
      ["udp6", true, "me", "::1"],
      ["open", true, undefined, undefined],
      ["url", true, undefined, undefined],
      ["nobody", false, undefined, undefined],
    ]);
    expect(results.at(-1)?.error).toMatch(/ECONNREFUSED/);
  });
});
