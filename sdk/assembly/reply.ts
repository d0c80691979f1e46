import { Ipv6Address } from "./headers";
import { Packet } from "./packet";
import { Protocol } from "./protocol";
import { isDestinationRouted, markSctpStale, patch8, rewriteHopLimit } from "./rewrite";

const HOP_LIMIT: u32 = 64;

/**
 * Swaps addresses and ports. Internet checksums stay as they are: they do not depend on the words' order. SCTP's does.
 * False, and nothing changed, when there is nobody to answer.
 */
export function turnRound(packet: Packet): bool {
  if (packet.isFragment || !hasTwoEnds(packet)) return false;
  const isEcho = packet.isIcmp && packet.icmp.type == (packet.isIpv4 ? <u32>8 : 128);
  if (packet.isIpv4) {
    const head = packet.head;
    const source = load<u32>(head, 12);
    store<u32>(head, load<u32>(head, 16), 12);
    store<u32>(head, source, 16);
  } else {
    const source = packet.ipv6.source;
    swap(source, packet.ipv6.destination);
  }
  if (packet.hasPorts) {
    store<u32>(packet.l4, rotl(load<u32>(packet.l4), 16));
    if (packet.protocol == Protocol.Sctp) markSctpStale(packet);
  } else if (isEcho) {
    patch8(packet, packet.l4Offset, packet.isIpv4 ? 0 : 129);
  }
  rewriteHopLimit(packet, HOP_LIMIT);
  packet.markWritten();
  return true;
}

/** Sender and receiver are one station each (RFC 1122, section 3.2.2). */
export function hasTwoEnds(packet: Packet): bool {
  if (packet.isIpv4) {
    const source = packet.ipv4.source;
    const destination = packet.ipv4.destination;
    return source != 0 && source < 0xe0000000 && destination < 0xe0000000;
  }
  if (!packet.isIpv6 || isDestinationRouted(packet)) return false;
  const ip = packet.ipv6;
  return !ip.source.isUnspecified && !ip.source.isMulticast && !ip.destination.isMulticast;
}

function swap(first: Ipv6Address, second: Ipv6Address): void {
  const high = first.high;
  const low = first.low;
  first.copyFrom(second);
  second.high = high;
  second.low = low;
}
