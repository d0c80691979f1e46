// Random rules and packets: what the compiled intervals decide must be what reading the rules one by one decides.

import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, ipv6, NodeStage, type PacketRow, packetHex, runRows, tcp, udp } from "@sluice/sdk/testing";
import { expect, test } from "vitest";

interface Rule {
  action: "allow" | "deny";
  priority?: number;
  source?: string[];
  destination?: string[];
  protocol?: "tcp" | "udp";
  destinationPorts?: (number | string)[];
}
interface Flow {
  source: bigint;
  destination: bigint;
  isIpv6: boolean;
  protocol: "tcp" | "udp";
  port: number;
}

/** Numbers that look random and are the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

// Few distinct bits, so that prefixes nest and packets meet them: 10.<0-3>.<0-3>.<0-3>, fd00:0:0:<0-3>::<0-3>:<0-3>.
const value4 = (pick: (below: number) => number) => 0x0a000000n + BigInt((pick(4) << 16) | (pick(4) << 8) | pick(4));
const value6 = (pick: (below: number) => number) =>
  (0xfd00n << 112n) + (BigInt(pick(4)) << 64n) + BigInt((pick(4) << 16) | pick(4));
const text4 = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
const text6 = (value: bigint) =>
  Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16)).join(":");

function randomPrefix(pick: (below: number) => number): string {
  if (pick(2) === 0) return `${text4(value4(pick))}/${[8, 14, 16, 22, 24, 30, 31, 32][pick(8)]}`;
  return `${text6(value6(pick))}/${[16, 62, 63, 64, 65, 110, 127, 128][pick(8)]}`;
}
const some = <T>(pick: (below: number) => number, make: () => T): T[] => Array.from({ length: 1 + pick(3) }, make);

function randomRule(pick: (below: number) => number): Rule {
  const rule: Rule = { action: pick(2) === 0 ? "allow" : "deny" };
  if (pick(2) === 0) rule.priority = pick(5) - 2;
  // A prefix of each family beside the random ones: rules that can match nothing are refused.
  if (pick(20) > 0) rule.source = [...some(pick, () => randomPrefix(pick)), text4(value4(pick)), text6(value6(pick))];
  if (pick(20) > 0) rule.destination = [...some(pick, () => randomPrefix(pick)), text4(value4(pick))];
  if (pick(2) === 0) {
    rule.protocol = pick(2) === 0 ? "tcp" : "udp";
    if (pick(2) === 0) {
      rule.destinationPorts = some(pick, () => (pick(2) === 0 ? 1 + pick(8) : `${1 + pick(8)}-${8 + pick(8)}`));
    }
  }
  return rule;
}

function holds(prefix: string, value: bigint, isIpv6: boolean): boolean {
  const [address = "", length] = prefix.split("/");
  if (address.includes(":") !== isIpv6) return false;
  const bits = isIpv6 ? 128n : 32n;
  const parts = address.split(isIpv6 ? ":" : ".");
  const base = parts.reduce((sum, part) => (sum << (isIpv6 ? 16n : 8n)) + BigInt(isIpv6 ? `0x${part}` : part), 0n);
  const rest = bits - BigInt(length ?? bits);
  return base >> rest === value >> rest;
}

function matches(rule: Rule, flow: Flow): boolean {
  const isIn = (list: string[] | undefined, value: bigint) =>
    list === undefined || list.some((prefix) => holds(prefix, value, flow.isIpv6));
  const isPort = (range: number | string) => {
    const [first, last = first] = String(range).split("-").map(Number);
    return first !== undefined && last !== undefined && flow.port >= first && flow.port <= last;
  };
  return (
    isIn(rule.source, flow.source) &&
    isIn(rule.destination, flow.destination) &&
    (rule.protocol === undefined || rule.protocol === flow.protocol) &&
    (rule.destinationPorts === undefined || rule.destinationPorts.some(isPort))
  );
}

function decide(rules: Rule[], flow: Flow): "allow" | "deny" {
  const ordered = rules.toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0)); // stable
  return ordered.find((rule) => matches(rule, flow))?.action ?? "deny";
}

function packetOf(flow: Flow): string {
  const text = flow.isIpv6 ? text6 : text4;
  const ends = { source: text(flow.source), destination: text(flow.destination) };
  const ports = { sourcePort: 40000, destinationPort: flow.port };
  return packetHex(flow.isIpv6 ? ipv6(ends) : ipv4(ends), flow.protocol === "tcp" ? tcp(ports) : udp(ports));
}

test.each([1, 2, 3, 4, 5])(
  "seed %i",
  async (seed) => {
    const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
    const stage = new NodeStage((await buildPlugin({ entry })).wasm);
    const pick = numbers(seed);
    const rules = Array.from({ length: 20 * seed }, () => randomRule(pick));
    const packets = Array.from({ length: 500 }, (): PacketRow => {
      const isIpv6 = pick(2) === 0;
      const value = isIpv6 ? value6 : value4;
      const flow: Flow = {
        source: value(pick),
        destination: value(pick),
        isIpv6,
        protocol: pick(2) === 0 ? "tcp" : "udp",
        port: 1 + pick(16),
      };
      const isAllowed = decide(rules, flow) === "allow";
      return { in: packetOf(flow), expect: isAllowed ? { verdict: "pass" } : { verdict: "drop", reason: "policy" } };
    });
    expect(new Set(packets.map(({ expect: { verdict } }) => verdict))).toEqual(new Set(["pass", "drop"]));
    const config = { defaultAction: "deny", rules: JSON.parse(JSON.stringify(rules)) };
    const [report] = await runRows(stage, [{ name: `seed ${seed}`, hook: "forward", config, packets }]);
    expect(report?.failures).toEqual([]);
  },
  60_000,
);
