// A TCP client in SYN-SENT (RFC 9293, section 3.10.7.3), as kernels have it, and the packets it sends.

import {
  type ChecksumMode,
  ipv4,
  ipv6,
  isMalformed,
  type Layer,
  packet,
  parsePacket,
  type TcpOptions,
  tcp,
} from "@sluice/sdk/testing";

export interface Segment {
  source: string;
  destination: string;
  sourcePort: number;
  sequence: number;
  acknowledgment: number;
  flags: number;
}

/** What a packet's TCP header says. Throws TypeError for a packet that a host would not accept. */
export function segmentOf(bytes: Uint8Array): Segment {
  const parsed = parsePacket(bytes);
  if (isMalformed(parsed) || parsed.protocol !== 6) throw new TypeError("no TCP");
  const isIpv4 = (bytes[0] ?? 0) >> 4 === 4;
  const addresses = Buffer.from(bytes)
    .subarray(isIpv4 ? 12 : 8, isIpv4 ? 20 : 40)
    .toString("hex");
  const header = Buffer.from(bytes).subarray(parsed.l4Offset);
  return {
    source: addresses.slice(0, addresses.length / 2),
    destination: addresses.slice(addresses.length / 2),
    sourcePort: header.readUInt16BE(0),
    sequence: header.readUInt32BE(4),
    acknowledgment: header.readUInt32BE(8),
    flags: header.readUInt8(13),
  };
}

export class Client {
  constructor(
    readonly source: string,
    readonly destination: string,
    readonly port = 40000,
    readonly initial = 1000,
  ) {}

  private ip(): Layer {
    const ends = { source: this.source, destination: this.destination };
    return this.source.includes(":") ? ipv6(ends) : ipv4(ends);
  }
  segment(
    flags: string,
    sequence: number,
    options: TcpOptions = {},
    payload = "",
    checksum: ChecksumMode = "full",
  ): Uint8Array {
    const ports = { sourcePort: this.port, destinationPort: 443 };
    return packet(this.ip(), tcp({ ...ports, flags, sequence, options, checksum }), payload);
  }
  syn(payload = "", checksum: ChecksumMode = "full"): Uint8Array {
    const options = { mss: 1460, sackPermitted: true, timestamps: { value: 7, echo: 0 }, windowScale: 7 };
    return this.segment("S", this.initial, options, payload, checksum);
  }
  /** What it answers to a segment while it waits for the server; undefined: it is content, the connection stands. */
  answer(segment: Segment): Uint8Array | undefined {
    const isAcceptable = segment.acknowledgment === (this.initial + 1) % 2 ** 32;
    return isAcceptable ? undefined : this.segment("R", segment.acknowledgment);
  }
}
