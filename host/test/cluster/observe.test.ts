import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ethernet, icmp, ipv4, ipv6, packet, packetHex, tcp, udp, vxlan, writePcap } from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";
import type { Owner } from "../../src/cli/cluster/names.js";
import { innerPacket } from "../../src/cli/inner.js";
import { alsoCarried } from "../../src/cli/observe/carried.js";
import { capturedEvent, droppedEvent, flowEvent, type PacketEvent } from "../../src/cli/observe/event.js";
import { type EventFilter, matches, packetFilter, podPattern } from "../../src/cli/observe/filter.js";
import { TABLE_WIDTH } from "../../src/cli/output.js";
import { eventText } from "../../src/cli/views/event.js";
import { FLOWS, flow } from "../samples.js";
import { EVENTS } from "./samples.js";

const OWNERS: Readonly<Record<string, Owner>> = {
  "10.244.0.7": { kind: "pod", name: "shop/web-1" },
  "10.244.1.9": { kind: "pod", name: "shop/db-0" },
  "172.31.0.1": { kind: "node", name: "node1" },
};
const names = { of: (address: string) => OWNERS[address] };

const inner = [
  ipv4({ source: "10.244.0.7", destination: "10.244.1.9" }),
  tcp({ sourcePort: 43210, destinationPort: 5432 }),
];
const outer = [
  ipv4({ source: "172.31.0.1", destination: "172.31.0.2" }),
  udp({ sourcePort: 50000, destinationPort: 4789 }),
  vxlan({ vni: 4096 }),
  ethernet(),
];
const captured = (bytes: Uint8Array, change = {}) => ({
  ...{ seconds: 1_700_000_000, nanoseconds: 500_000_000, point: "tx", port: "uplink", length: bytes.length, bytes },
  ...change,
});

describe("an event", () => {
  test("of a packet that is carried to another node is about what it carries", () => {
    const event = capturedEvent("node1", captured(packet(ethernet(), ...outer, ...inner)), names);
    expect(event).toMatchObject({
      at: 1_700_000_000_500,
      node: "node1",
      verdict: "forwarded",
      source: { address: "10.244.0.7", port: 43210, kind: "pod", name: "shop/web-1" },
      destination: { name: "shop/db-0", port: 5432 },
      protocol: "TCP",
      carried: true,
      port: "uplink",
    });
  });

  test("of a drop says why and by which stage", () => {
    const drop = { point: "drop", port: "pod-1", reason: "policy", stage: "policy-ingress" };
    const event = capturedEvent("node2", captured(packet(ethernet(), ...inner), drop), names);
    expect(event).toMatchObject({ verdict: "dropped", reason: "policy", stage: "policy-ingress", carried: false });
  });

  test("is none of what is no IP packet", () => {
    expect(capturedEvent("node1", captured(packet(ethernet({ etherType: 0x88cc }), "lldp")), names)).toBeUndefined();
  });

  test("of a drop reason's last packet has that packet's time", () => {
    const last = { at: 5, worker: 0, inPort: "pod-1", packetHex: packetHex(...inner), length: 40, summary: "" };
    const record = { reason: "no-route", meaning: "", stage: "", packets: 1, last };
    const event = droppedEvent("node1", record, names);
    expect(event).toMatchObject({ at: 5, reason: "no-route", verdict: "dropped" });
    expect(event).not.toHaveProperty("stage");
    expect(droppedEvent("node1", { ...record, last: null }, names)).toBeUndefined();
  });

  test("of a tracked connection is as its packets leave", () => {
    const [first = flow({})] = FLOWS;
    const event = flowEvent("node1", first, names, 10_000);
    expect(event).toMatchObject({ node: "node1", verdict: "forwarded", detail: first.state });
    expect(event.at).toBe(10_000 - first.idleMs);
  });

  test.each([
    [{ address: "10.0.0.1" }, "10.0.0.1"],
    [{ address: "fd00::1", port: 80 }, "[fd00::1]:80"],
    [{ address: "10.0.0.1", port: 80, kind: "pod" as const, name: "shop/web-1" }, "shop/web-1:80"],
    [{ address: "10.0.0.1", kind: "node" as const, name: "node1" }, "node:node1"],
  ])("shows %j as %s", (source, text) => {
    expect(eventText({ ...(EVENTS[0] as PacketEvent), source })).toContain(`  ${text} > `);
  });

  test("fits the screen", () => {
    const long = { address: "10.0.0.1", port: 80, kind: "pod" as const, name: `shop/${"w".repeat(30)}` };
    const lines = eventText({ ...(EVENTS[1] as PacketEvent), source: long, destination: long }).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(TABLE_WIDTH);
  });
});

describe("a filter", () => {
  const [forwarded, dropped] = EVENTS as [PacketEvent, PacketEvent];
  test.each<[EventFilter, boolean, boolean]>([
    [{}, true, true],
    [{ verdict: "dropped" }, false, true],
    [{ verdict: "forwarded" }, true, false],
    [{ dropReason: ["policy"] }, false, true],
    [{ dropReason: ["no-route"] }, false, false],
    [{ fromPod: ["shop/web-*"] }, true, true],
    [{ fromPod: ["shop/web"] }, false, false],
    [{ fromPod: ["shop/db-0"] }, false, false],
    [{ toPod: ["shop/db-0"] }, true, true],
    [{ toPod: ["other/db-0", "shop/*"] }, true, true],
    [{ pod: ["shop/db-0"] }, true, true],
    [{ pod: ["shop.db-0"] }, false, false],
    [{ protocol: "tcp", port: 5432 }, true, true],
    [{ protocol: "udp" }, false, false],
    [{ port: 43210 }, true, true],
    [{ port: 80 }, false, false],
    [{ fromPod: ["shop/web-1"], verdict: "dropped", dropReason: ["policy"] }, false, true],
  ])("%j: the forwarded packet %s, the dropped one %s", (filter, first, second) => {
    expect([matches(filter, forwarded), matches(filter, dropped)]).toEqual([first, second]);
  });

  test("by a pod's name does not match a node of that name", () => {
    const source = { address: "172.31.0.1", kind: "node" as const, name: "shop/web-1" };
    expect(matches({ fromPod: ["shop/web-1"] }, { ...forwarded, source })).toBe(false);
  });

  test.each([
    ["web", ["default/web"]],
    ["shop/web-*", ["shop/web-*"]],
    ["shop/", ["shop/*"]],
  ])("of pods: %s is %j", (text, patterns) => expect(podPattern(text)).toEqual(patterns));
  test.each(["", "/web", "a/b/c", "Web", "a b"])("of pods: %j is none", (text) => {
    expect(() => podPattern(text)).toThrow(`Found "${text}"; allowed: NAME, NAMESPACE/NAME or NAMESPACE/`);
  });

  test.each([
    [["10.244.0.0/16"], {}, "", "(net 10.244.0.0/16) or "],
    [["10.244.0.0/16", "fd00::/104"], {}, "tcp", "((net 10.244.0.0/16 or net fd00::/104) and (tcp)) or "],
    [["10.244.0.0/16"], { source: ["10.244.0.7"] }, "", "(src host 10.244.0.7) or "],
    [["10.244.0.0/16"], { either: ["10.244.0.7", "fd00::7"] }, "", "((host 10.244.0.7 or host fd00::7)) or "],
    [["10.244.0.0/16"], { either: Array.from({ length: 99 }, () => "10.244.0.7") }, "", "(net 10.244.0.0/16) or "],
    [[], {}, "", ""],
  ])("for nodes with networks %j, addresses %j and %j begins with %s", (networks, wanted, words, filter) => {
    expect(packetFilter(networks, wanted, words).startsWith(filter)).toBe(true);
    expect(packetFilter(networks, wanted, words).length).toBeLessThanOrEqual(4096);
  });
});

describe("a filter of what is carried to another node", () => {
  const v6 = [
    ipv6({ source: "fd00:10:244::42", destination: "fd00:10:244::1" }),
    udp({ sourcePort: 1000, destinationPort: 53 }),
  ];
  const outer6 = [
    ipv6({ source: "fd31::1", destination: "fd31::2" }),
    udp({ sourcePort: 50000, destinationPort: 4789 }),
    vxlan({ vni: 4096 }),
    ethernet(),
  ];
  const ways = { plain: [], "in VXLAN over IPv4": outer, "in VXLAN over IPv6": outer6 };
  test.each(
    Object.entries(ways).flatMap(([way, around]) =>
      (
        [
          ["host 10.244.0.7", inner, true],
          ["src host 10.244.0.7 and dst host 10.244.1.9", inner, true],
          ["src host 10.244.1.9", inner, false],
          ["host 10.244.0.7", v6, false],
          ["net 10.244.0.0/16 or net fd00:10:244::/104", v6, true],
          ["net 10.245.0.0/16", inner, false],
          ["src host fd00:10:244::42 and dst host fd00:10:244::1", v6, true],
          ["dst host fd00:10:244::42", v6, false],
          ["tcp port 5432", inner, true],
          ["tcp dst port 43210", inner, false],
          ["udp and dst port 53", v6, true],
          ["icmp or icmp6", v6, false],
          ["not tcp", v6, true],
          ["ip6 and !(tcp || icmp6)", v6, true],
        ] as const
      ).map(([filter, packet_, expected]) => [way, filter, around, packet_, expected] as const),
    ),
  )("%s: %s", (_way, filter, around, parts, expected) => {
    const file = join(mkdtempSync(join(tmpdir(), "carried-test-")), "one.pcap");
    writePcap(file, [{ bytes: packet(ethernet(), ...around, ...parts) }], { linkType: "ethernet" });
    const { stdout, stderr } = spawnSync("tcpdump", ["-nr", file, alsoCarried(filter)], { encoding: "utf8" });
    rmSync(dirname(file), { recursive: true });
    expect(stderr).not.toMatch(/syntax error|expression/);
    expect(stdout !== "").toBe(expected);
  });

  test.each(["vlan 5", "src 10.0.0.1 x", "host", "tcp[13] = 2", "host web"])("takes no %j", (filter) => {
    expect(() => alsoCarried(filter)).toThrow(/allowed on several nodes/);
  });
});

describe("a packet's identity", () => {
  const identity = (...parts: Parameters<typeof packetHex>) => innerPacket(packetHex(...parts))?.identity;
  test("is the same whatever carries it", () => {
    expect(identity(...outer, ...inner)).toBe(identity(...inner));
    const overIpv6 = [
      ipv6({ source: "fd31::1", destination: "fd31::2" }),
      udp({ sourcePort: 50000, destinationPort: 4789 }),
      vxlan({ vni: 4096 }),
      ethernet(),
    ];
    expect(identity(...overIpv6, ...inner)).toBe(identity(...inner));
  });

  test("tells echoes apart by their numbers", () => {
    const echo = (sequence: number) =>
      identity(ipv4({ source: "10.244.0.7", destination: "10.244.1.9" }), icmp({ type: 8, identifier: 1, sequence }));
    expect(echo(1)).not.toBe(echo(2));
  });
});
