import {
  checksum,
  crc32c,
  isMalformed,
  loadPlugin,
  type Parsed,
  parsePacket,
  pseudoHeader,
  type SendResult,
  type Stage,
  type StageOptions,
} from "@sluice/sdk/testing";
import { root } from "../support/dataplane.js";
import type { Attack, Setting } from "./attack.js";
import { type Made, type Places, randomPacket } from "./packets.js";
import { Random } from "./random.js";

const FRAGMENT = 4; // abi.json, Flag
const [TCP, UDP, ICMP, ICMPV6, SCTP] = [6, 17, 1, 58, 132];
const [HOP_BY_HOP, ROUTING, OPTIONS] = [0, 43, 60];
const BURSTS_A_STAGE = 40;
const SHORT_BURSTS = 400;

interface Target {
  name: string;
  plugin: string;
  config: NonNullable<StageOptions["config"]>;
}

const places: Places = {
  v4: ["10.1.0.1", "10.1.0.2", "10.96.0.10", "10.2.0.2", "192.0.2.1", "198.51.100.7", "224.0.0.1", "127.0.0.1"],
  v6: [
    "fd00:1::1",
    "fd00:1::2",
    "fd00:96::10",
    "fd00:2::2",
    "fc00:1::d4",
    "fc00:1::d6",
    "fc00:1::e",
    "fc00:2::d4",
    "2001:db8::7",
    "ff02::1",
    "::1",
  ],
  ports: [80, 8080, 1024, 53, 4096, 0],
};

const targets: Target[] = [
  {
    name: "policy",
    plugin: "plugins/policy/build/policy.wasm",
    config: {
      defaultAction: "deny",
      rules: [
        { action: "deny", source: ["10.1.0.2/32", "fd00:1::2/128"], protocol: "udp", destinationPorts: [53] },
        { action: "allow", source: ["10.0.0.0/8", "fd00::/16"], protocol: "tcp", destinationPorts: ["80-8080"] },
        { action: "allow", protocol: "udp" },
        { action: "allow", protocol: "icmp" },
      ],
    },
  },
  {
    name: "nat",
    plugin: "plugins/nat/build/nat.wasm",
    config: {
      services: (["tcp", "udp", "sctp"] as const).flatMap((protocol) => [
        {
          vip: "10.96.0.10",
          port: 80,
          protocol,
          backends: [
            { address: "10.2.0.2", port: 8080 },
            { address: "10.1.0.1", weight: 3 },
          ],
        },
        {
          vip: "fd00:96::10",
          port: 80,
          protocol,
          backends: [{ address: "fd00:2::2", port: 8080 }],
          sourceNat: "fd00:1::77",
        },
      ]),
      masquerade: [
        { source: "10.1.0.0/16", except: ["10.0.0.0/8"], to: "192.0.2.9", ports: "4000-4100" },
        { source: "fd00:1::/32", except: ["fd00::/16"], to: "2001:db8::9" },
      ],
      hairpin: { ipv4: "169.254.7.7", ipv6: "fd00:7::7" },
    },
  },
  {
    name: "srv6",
    plugin: "plugins/srv6/build/srv6.wasm",
    config: {
      source: "fd00:1::1",
      localSids: [
        { sid: "fc00:1::d4", behaviour: "End.DT4" },
        { sid: "fc00:1::d6", behaviour: "End.DT6" },
        { sid: "fc00:1::e", behaviour: "End" },
      ],
      policies: [
        { match: "10.2.0.0/16", segments: ["fc00:2::d4"] },
        { match: "198.51.100.0/24", segments: ["fc00:1::e", "fc00:2::e", "fc00:2::d4"], reduced: true },
        { match: "fd00:2::/32", segments: ["fc00:2::d6", "fc00:2::e"], hopLimit: "inner", flowLabel: "inner" },
      ],
    },
  },
  { name: "mss-clamp", plugin: "examples/mss-clamp/assembly/index.ts", config: { mtu: 1400 } },
  { name: "dscp-marker", plugin: "examples/dscp-marker/assembly/v2.ts", config: {} },
];

/** What a plugin must hold to, whatever comes. */
function check(made: Made, result: SendResult): void {
  if (result.trap !== undefined) throw new Error(`it failed: ${result.trap}`);
  if (result.reason === "stage-invalid-output") throw new Error("it wrote what no packet can be");
  const before = parsePacket(made.bytes);
  if (isMalformed(before) || result.packet === undefined) return;
  const after = parsePacket(result.packet);
  // What a stage takes out of its wrapping is the sender's; the node parses it anew.
  if (isMalformed(after) && result.verdict === "reinput") return;
  if (isMalformed(after)) throw new Error(`what it made of a sound packet is not one: ${after.reason}`);
  if (made.intact && isSummed(before)) checkSums(after);
}

/** A checksum that can be held against the packet's bytes is there and right. */
function isSummed(parsed: Parsed): boolean {
  return (parsed.flags & FRAGMENT) === 0 && wrongSum(parsed) === undefined;
}

function checkSums(parsed: Parsed): void {
  const wrong = wrongSum(parsed);
  if (wrong !== undefined)
    throw new Error(`the checksum of ${wrong} is wrong in what it made of a packet with right ones`);
}

function wrongSum({ bytes, family, protocol, l4Offset, flags }: Parsed): string | undefined {
  if (family === 4 && checksum(bytes.subarray(0, 4 * (bytes.readUInt8(0) & 15))) !== 0) return "IPv4";
  if (l4Offset === 0 || (flags & FRAGMENT) !== 0) return undefined;
  const message = bytes.subarray(l4Offset, protocol === UDP ? l4Offset + bytes.readUInt16BE(l4Offset + 4) : undefined);
  if (protocol === SCTP) {
    const zeroed = Buffer.from(message).fill(0, 8, 12);
    return crc32c(zeroed) === message.readUInt32LE(8) ? undefined : "SCTP";
  }
  if (protocol === UDP && message.readUInt16BE(6) === 0 && family === 4) return undefined;
  if (protocol === ICMP && family === 4) return checksum(message) === 0 ? undefined : "ICMP";
  if (protocol !== TCP && protocol !== UDP && !(protocol === ICMPV6 && family === 6)) return undefined;
  const [source, destination] =
    family === 4 ? [bytes.subarray(12, 16), bytes.subarray(16, 20)] : [bytes.subarray(8, 24), finalDestination(bytes)];
  const pseudo = pseudoHeader(source, destination, protocol, message.length);
  return checksum(pseudo, message) === 0 ? undefined : `protocol ${protocol}`;
}

/** RFC 8200, section 8.1: with a routing header the checksum is over the path's last address, the SRH's first segment. */
function finalDestination(bytes: Buffer): Buffer {
  let next = bytes.readUInt8(6);
  for (let at = 40; [HOP_BY_HOP, ROUTING, OPTIONS].includes(next); at += 8 * (bytes.readUInt8(at + 1) + 1)) {
    if (next === ROUTING && bytes.readUInt8(at + 3) > 0) return bytes.subarray(at + 8, at + 24);
    next = bytes.readUInt8(at);
  }
  return bytes.subarray(24, 40);
}

/** The state of a run, to be told when it breaks. */
class Fuzz {
  bursts = 0;
  packets = 0;

  constructor(
    private readonly target: Target,
    private readonly seed: number,
  ) {}

  /** One stage through some bursts, each of a seed of its own. */
  async round(stage: Stage): Promise<void> {
    for (let i = 0; i < BURSTS_A_STAGE; i++) {
      const random = new Random(this.seed + this.bursts++);
      const made = Array.from({ length: 1 + random.below(12) }, () => randomPacket(random, places));
      stage.advance(random.rarely(8) ? random.below(1 << 20) : random.below(100));
      const results = stage.burst(made.map(({ bytes }) => bytes));
      this.packets += made.length;
      for (const [at, each] of made.entries()) this.judge(each, results[at] as SendResult);
    }
  }

  private judge(made: Made, result: SendResult): void {
    try {
      check(made, result);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const out = result.packet === undefined ? "" : `\n  out ${Buffer.from(result.packet).toString("hex")}`;
      throw new Error(
        `${this.target.name}: ${text}\n  burst ${this.bursts} of seed ${this.seed}\n  in  ${Buffer.from(made.bytes).toString("hex")}${out}`,
      );
    }
  }
}

/** Runs one plugin for its share of the time, or its number of bursts in the short form, which is the same each time. */
async function fuzz(target: Target, setting: Setting): Promise<number> {
  const run = new Fuzz(target, setting.short ? 1 : Date.now() >>> 0);
  const end = Date.now() + (setting.seconds * 1000) / targets.length;
  do {
    const stage = await loadPlugin(`${root}/${target.plugin}`, { config: target.config });
    await run.round(stage);
    await new Promise(setImmediate); // lets an interruption through
  } while (!setting.cleanup.closing && (setting.short ? run.bursts < SHORT_BURSTS : Date.now() < end));
  return run.packets;
}

export const pluginFuzzing: Attack = {
  name: "plugins",
  about: `random packets through ${targets.map(({ name }) => name).join(", ")}: no failure, sound packets, right checksums`,
  async run(setting) {
    let packets = 0;
    for (const target of targets) packets += await fuzz(target, setting);
    return `${packets.toLocaleString("en")} packets through ${targets.length} plugins`;
  },
};
