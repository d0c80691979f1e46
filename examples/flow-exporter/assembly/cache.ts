import { FlowKey, mixPair, now, Packet, Scratch } from "@sluice/sdk";

/** What is known of a flow in one direction. Times as `now()` has them; a record without packets is free. */
@unmanaged
export class FlowRecord extends FlowKey {
  first: u64;
  last: u64;
  /** Sampled packets, and their bytes from the L3 header on. */
  packets: u64;
  bytes: u64;
  /** TCP flags seen, one or the other. */
  flags: u8;
  /** Type of service or traffic class of the first packet. */
  trafficClass: u8;
  inPort: u16;
  outPort: u16;
  isIpv6: bool;
  private spare: u8;

  /** Begins with this packet, whose key it has. */
  begin(packet: Packet): void {
    this.first = now();
    this.packets = this.bytes = 0;
    this.flags = 0;
    this.isIpv6 = packet.isIpv6;
    this.trafficClass = <u8>(packet.isIpv4 ? packet.ipv4.trafficClass : packet.ipv6.trafficClass);
    this.inPort = <u16>packet.inPort;
    this.outPort = <u16>packet.outPort;
  }
  add(packet: Packet): void {
    this.last = now();
    this.packets++;
    this.bytes += packet.length;
    if (packet.isTcp) this.flags |= <u8>packet.tcp.flags;
  }
  isOf(key: FlowKey): bool {
    return this.packets != 0 && this.source.equals(key.source) && this.destination.equals(key.destination)
      && this.sourcePort == key.sourcePort && this.destinationPort == key.destinationPort && this.protocol == key.protocol;
  }
}

/** Flows that there is room for; a power of two. */
export const CAPACITY: u32 = 16384;
const SIZE: u32 = <u32>offsetof<FlowRecord>();
const records = new Scratch(CAPACITY * SIZE);
const key = new FlowKey();
let next: u32 = 0;

/**
 * The only place that this packet's flow can have: of its own record, of another flow's, or free. A table with one place for
 * each hash needs no list, and who is pushed out of it is reported, not forgotten.
 */
export function recordFor(packet: Packet): FlowRecord {
  key.read(packet);
  const hash = mixPair(packet.hash, key.source.low ^ key.sourcePort);
  return records.view<FlowRecord>((<u32>hash & (CAPACITY - 1)) * SIZE);
}
/** True when the record is of the flow that `recordFor` was asked for last. */
export function isSameFlow(record: FlowRecord): bool { return record.isOf(key); }
/** Makes the record one of that flow. */
export function claim(record: FlowRecord, packet: Packet): void {
  record.read(packet);
  record.begin(packet);
}
/** All records, one after the other, over and over. */
export function nextRecord(): FlowRecord {
  next = (next + 1) & (CAPACITY - 1);
  return records.view<FlowRecord>(next * SIZE);
}
