import { Ipv6Address } from "./headers";
import { Packet } from "./packet";

/**
 * Who sent a packet, for tables of both families: the IPv6 source address, or IPv4's as ::ffff:a.b.c.d (RFC 4291,
 * section 2.5.5.2). `into` is one of the stage's own, made at the top level. False for a packet that is neither.
 */
export function readSource(packet: Packet, into: Ipv6Address): bool {
  if (packet.isIpv4) into.setIpv4(packet.ipv4.source);
  else if (packet.isIpv6) into.copyFrom(packet.ipv6.source);
  else return false;
  return true;
}

/** Whom a packet is for; as `readSource`. */
export function readDestination(packet: Packet, into: Ipv6Address): bool {
  if (packet.isIpv4) into.setIpv4(packet.ipv4.destination);
  else if (packet.isIpv6) into.copyFrom(packet.ipv6.destination);
  else return false;
  return true;
}

/**
 * Addresses, ports and protocol of a packet: 40 bytes, a key of LruTable or HashTable. `const key = new FlowKey()` at
 * the top level, `key.read(packet)` on the packet path. IPv4 addresses are as `readSource` has them.
 */
@unmanaged
export class FlowKey {
  private source0: u64;
  private source1: u64;
  private destination0: u64;
  private destination1: u64;
  private ports: u32;
  private number: u32;

  /** Takes the packet's; ports are 0 where it has none. False for a packet that is neither IPv4 nor IPv6. */
  read(packet: Packet): bool {
    if (!readSource(packet, this.source)) return false;
    readDestination(packet, this.destination);
    this.ports = packet.sourcePort << 16 | packet.destinationPort;
    this.number = packet.protocol;
    return true;
  }
  /** Makes it the other direction's. */
  turn(): void {
    const high = this.source0;
    const low = this.source1;
    this.source0 = this.destination0;
    this.source1 = this.destination1;
    this.destination0 = high;
    this.destination1 = low;
    this.ports = rotl(this.ports, 16);
  }

  /** A view of the source address. */
  get source(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this)); }
  /** A view of the destination address. */
  get destination(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 16); }
  /** 0 without ports. */
  get sourcePort(): u32 { return this.ports >>> 16; }
  /** 0 without ports. */
  get destinationPort(): u32 { return this.ports & 0xffff; }
  /** See Protocol. */
  get protocol(): u32 { return this.number; }
}
