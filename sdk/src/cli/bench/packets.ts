import { MAX_SLOTS } from "../../generated/abi.js";
import { linkLength } from "../../offline/link.js";
import { ipv4, ipv6, packetHex, tcp, udp } from "../../testing/packets.js";
import { isMalformed, parsePacket } from "../../testing/parse.js";
import { packetsOf } from "../../testing/pcap.js";
import { CommandError } from "../errors.js";

/** A packet to measure with. */
export interface BenchPacket {
  /** Hex, from the L3 header on. */
  in: string;
  /** A number. */
  flow: string;
}

const FLOWS = 64;
/** Payloads that make the usual small and large packets. */
const PAYLOADS = [18, 1200, 64, 512];

/** What is measured with when nothing else is given: 64 flows, 3 of 4 in IPv4, TCP and UDP by turns, 4 sizes. */
export function madeUpPackets(): BenchPacket[] {
  return Array.from({ length: MAX_SLOTS }, (_, index) => {
    const number = index % FLOWS;
    const ports = { sourcePort: 40_000 + number, destinationPort: [80, 443, 53, 8080][number % 4] ?? 80 };
    const l4 = number % 2 === 0 ? tcp({ ...ports, flags: "A" }) : udp(ports);
    const payload = Buffer.alloc(PAYLOADS[(index >> 1) % PAYLOADS.length] ?? 0, "sluice");
    const l3 =
      number % 4 === 3
        ? ipv6({ source: `2001:db8:1::${number + 1}`, destination: "2001:db8:2::1" })
        : ipv4({ source: `10.0.0.${number + 1}`, destination: "192.0.2.1" });
    return { in: packetHex(l3, l4, payload), flow: String(number) };
  });
}

/** More than fits into a packet buffer is not measured with. */
const LONGEST = 2000;
const MOST = 4 * MAX_SLOTS;

/** The first packets of a capture that a stage may get: whole, well-formed IP. Throws CommandError, PcapError. */
export function capturedPackets(file: string): BenchPacket[] {
  const found: BenchPacket[] = [];
  const flows = new Map<number, number>();
  for (const captured of packetsOf(file)) {
    const start = linkLength(captured);
    const bytes = Buffer.from(captured.bytes.subarray(start ?? 0));
    if (start === undefined || captured.bytes.length < captured.length || bytes.length > LONGEST) continue;
    const parsed = parsePacket(bytes);
    if (isMalformed(parsed)) continue;
    const flow = flows.get(parsed.hash) ?? flows.size;
    flows.set(parsed.hash, flow);
    found.push({ in: bytes.toString("hex"), flow: String(flow) });
    if (found.length === MOST) break;
  }
  if (found.length > 0) return found;
  throw new CommandError(
    "pcap",
    "has no packet to measure with",
    "Capture whole IP packets: tcpdump -s 0 -w FILE",
    file,
  );
}

/** Enough of them for whole bursts: the list over and over. */
export function repeated(packets: readonly BenchPacket[]): BenchPacket[] {
  const whole = Math.ceil(packets.length / MAX_SLOTS) * MAX_SLOTS;
  return Array.from({ length: whole }, (_, index) => packets[index % packets.length] as BenchPacket);
}
