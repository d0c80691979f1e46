import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Flows whose requests and answers are replayed. */
const FLOWS = 10_000;
const FRAME_BYTES = 60;
const ETHERNET_BYTES = 14;
const IP_BYTES = 20;

interface End {
  address: number;
  port: number;
}

/** The other program need not care; Sluice takes frames that are sent to its ports (native/bench/bench_node.h). */
const portMac = (port: number) => [0x02, 0, 0, 0, 0x0a, port];
const peerMac = (port: number) => [0x02, 0, 0, 0, 0x0b, port];

const client = (flow: number): End => ({ address: 0x0a000001 + (flow >> 4), port: 1024 + (flow & 15) });
const server: End = { address: 0x0a810001, port: 80 };

/** A UDP datagram over IPv4 in a 64-byte frame, without the frame's own checksum and without UDP's. */
function frame(toPort: number, from: End, to: End): Buffer {
  const bytes = Buffer.alloc(FRAME_BYTES);
  bytes.set([...portMac(toPort), ...peerMac(toPort), 0x08, 0x00]);
  const ip = bytes.subarray(ETHERNET_BYTES);
  ip[0] = 0x45;
  ip.writeUInt16BE(FRAME_BYTES - ETHERNET_BYTES, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.writeUInt32BE(from.address, 12);
  ip.writeUInt32BE(to.address, 16);
  let sum = 0;
  for (let at = 0; at < IP_BYTES; at += 2) sum += ip.readUInt16BE(at);
  sum = (sum & 0xffff) + (sum >> 16);
  ip.writeUInt16BE(~(sum + (sum >> 16)) & 0xffff, 10);
  ip.writeUInt16BE(from.port, IP_BYTES);
  ip.writeUInt16BE(to.port, IP_BYTES + 2);
  ip.writeUInt16BE(FRAME_BYTES - ETHERNET_BYTES - IP_BYTES, IP_BYTES + 4);
  return bytes;
}

/** Flow numbers in an order that no prefetcher knows, the same each time (a Fisher-Yates shuffle by xorshift). */
function shuffled(count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let random = 42;
  for (let i = count - 1; i > 0; i--) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const other = (random >>> 0) % (i + 1);
    [order[i], order[other]] = [order[other] as number, order[i] as number];
  }
  return order;
}

/** A capture file (pcap, microseconds, Ethernet). */
function capture(frames: Buffer[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.flatMap((bytes) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    return [record, bytes];
  });
  return Buffer.concat([header, ...records]);
}

/**
 * Writes requests.pcap and answers.pcap and returns devargs of the two devices that replay them without end: the first sends
 * the flows' requests, the second their answers. What is sent to either is freed.
 */
export function replayingDevices(folder: string): string[] {
  const flows = shuffled(FLOWS);
  writeFileSync(join(folder, "requests.pcap"), capture(flows.map((flow) => frame(0, client(flow), server))));
  writeFileSync(join(folder, "answers.pcap"), capture(flows.map((flow) => frame(1, server, client(flow)))));
  const device = (number: number, name: string) =>
    `net_pcap${number},rx_pcap=${join(folder, `${name}.pcap`)},infinite_rx=1`;
  return [device(0, "requests"), device(1, "answers")];
}
