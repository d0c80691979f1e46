import { Ipv6Address, Packet } from "@sluice/sdk";
import { Translation } from "./state";

const address = new Ipv6Address();

/** Of a translation, the part for one end: of the source when `isSource`, else of the destination. */
// @ts-ignore: decorator
@inline function highOf(how: Translation, isSource: bool): u64 { return isSource ? how.sourceHigh : how.destinationHigh; }
// @ts-ignore: decorator
@inline function lowOf(how: Translation, isSource: bool): u64 { return isSource ? how.sourceLow : how.destinationLow; }
// @ts-ignore: decorator
@inline function portOf(how: Translation, isSource: bool): u32 { return isSource ? how.sourcePort : how.destinationPort; }

// @ts-ignore: decorator
@inline function changed(from: Ipv6Address, how: Translation, isSource: bool): Ipv6Address {
  address.high = from.high ^ highOf(how, isSource);
  address.low = from.low ^ lowOf(how, isSource);
  return address;
}

/** Most packets: of their flow itself, address and port change at once. */
// @ts-ignore: decorator
@inline function isPlain(packet: Packet, port: u32): bool { return port != 0 && packet.hasPorts && !packet.isRelated; }

/** Translates a packet's destination; an ICMP error's, and the source of what it quotes. False when it cannot be done. */
export function translateDestination(packet: Packet, how: Translation, isSource: bool): bool {
  const port = portOf(how, isSource);
  if (isPlain(packet, port)) {
    const to = packet.destinationPort ^ port;
    if (packet.isIpv6) return packet.setDestinationEndpoint6(changed(packet.ipv6.destination, how, isSource), to);
    return packet.setDestinationEndpoint4(packet.ipv4.destination ^ <u32>lowOf(how, isSource), to);
  }
  if (packet.isIpv6) {
    if (!packet.setDestination6(changed(packet.ipv6.destination, how, isSource))) return false;
  } else if (!packet.setDestination4(packet.ipv4.destination ^ <u32>lowOf(how, isSource))) {
    return false;
  }
  if (packet.isRelated) return translateQuotedSource(packet, how, isSource, port);
  if (port == 0) return true;
  return packet.isIcmp && packet.setIcmpIdentifier(packet.icmp.identifier ^ port);
}

/** Translates a packet's source; of an ICMP error the destination of what it quotes, and its source if it is the same. */
export function translateSource(packet: Packet, how: Translation, isSource: bool): bool {
  const port = portOf(how, isSource);
  if (isPlain(packet, port)) {
    const to = packet.sourcePort ^ port;
    if (packet.isIpv6) return packet.setSourceEndpoint6(changed(packet.ipv6.source, how, isSource), to);
    return packet.setSourceEndpoint4(packet.ipv4.source ^ <u32>lowOf(how, isSource), to);
  }
  if (packet.isRelated && (!packet.hasQuoted || !translateQuotedDestination(packet, how, isSource))) return false;
  if (packet.isRelated && !isFromQuotedDestination) return true;
  if (packet.isIpv6) {
    if (!packet.setSource6(changed(packet.ipv6.source, how, isSource))) return false;
  } else if (!packet.setSource4(packet.ipv4.source ^ <u32>lowOf(how, isSource))) {
    return false;
  }
  if (port == 0 || packet.isRelated) return true;
  return packet.isIcmp && packet.setIcmpIdentifier(packet.icmp.identifier ^ port);
}

function translateQuotedSource(packet: Packet, how: Translation, isSource: bool, port: u32): bool {
  if (!packet.hasQuoted) return false;
  const quoted = packet.quoted;
  if (quoted.isIpv6) {
    if (!quoted.setSource6(changed(quoted.ipv6.source, how, isSource))) return false;
  } else if (!quoted.setSource4(quoted.ipv4.source ^ <u32>lowOf(how, isSource))) {
    return false;
  }
  if (port == 0) return true;
  if (quoted.hasPorts) return quoted.setSourcePort(quoted.sourcePort ^ port);
  return quoted.setIcmpIdentifier(quoted.icmpIdentifier ^ port);
}

/** An error that a router on the way sent keeps the router's address as its source; one of the other end does not. */
let isFromQuotedDestination: bool = false;

function translateQuotedDestination(packet: Packet, how: Translation, isSource: bool): bool {
  const quoted = packet.quoted;
  const port = portOf(how, isSource);
  if (quoted.isIpv6) {
    const destination = quoted.ipv6.destination;
    isFromQuotedDestination = packet.ipv6.source.equals(destination);
    if (!quoted.setDestination6(changed(destination, how, isSource))) return false;
  } else {
    const destination = quoted.ipv4.destination;
    isFromQuotedDestination = packet.ipv4.source == destination;
    if (!quoted.setDestination4(destination ^ <u32>lowOf(how, isSource))) return false;
  }
  if (port == 0) return true;
  if (quoted.hasPorts) return quoted.setDestinationPort(quoted.destinationPort ^ port);
  return quoted.setIcmpIdentifier(quoted.icmpIdentifier ^ port);
}
