// What is done with a packet whose destination is a SID of this node (RFC 8986, section 4).

import { Counter, dropReason, DropReason, Packet, Protocol } from "@sluice/sdk";
import { Behaviour } from "./config";
import { Sid } from "./tables";

const forwarded = new Counter("endpoint_packets", "Packets sent on to their next segment");
const decapsulated = new Counter("decapsulated_packets", "Packets taken out of their outer header");

const unreadable = dropReason("srh-unreadable", "The segment routing header is not wholly in the packet's readable part");

export function endpoint(packet: Packet, sid: Sid): void {
  const routing = packet.extensionOffset(Protocol.Routing);
  const srh = routing == 0 ? 0 : packet.srhOffset;
  if (routing != 0 && srh == 0) {
    const isSegmentRouting = packet.u8At(routing + 2) == 4;
    packet.drop(isSegmentRouting ? unreadable : DropReason.HopLimitSrh);
    return;
  }
  if (srh != 0 && !isConsistent(packet, srh)) {
    packet.drop(DropReason.HopLimitSrh);
    return;
  }
  switch (sid.behaviour) {
    case Behaviour.End: {
      advance(packet, srh);
      return;
    }
    case Behaviour.EndX: {
      if (advance(packet, srh)) packet.redirect6(sid.port, sid.nextHop6);
      return;
    }
    case Behaviour.EndDt4: {
      if (decapsulate(packet, srh, Protocol.Ipv4)) packet.reinput(sid.table);
      return;
    }
    case Behaviour.EndDt6: {
      if (decapsulate(packet, srh, Protocol.Ipv6)) packet.reinput(sid.table);
      return;
    }
    case Behaviour.EndDx4: {
      if (decapsulate(packet, srh, Protocol.Ipv4)) packet.redirect4(sid.port, sid.nextHop4);
      return;
    }
    case Behaviour.EndDx6: {
      if (decapsulate(packet, srh, Protocol.Ipv6)) packet.redirect6(sid.port, sid.nextHop6);
      return;
    }
  }
}

/** RFC 8754, section 4.3.1.1: neither Last Entry nor Segments Left point behind the list. */
function isConsistent(packet: Packet, offset: u32): bool {
  const srh = packet.srhAt(offset);
  const entries = <u32>(srh.length - 8) >>> 4;
  return srh.lastEntry < entries && srh.segmentsLeft <= srh.lastEntry + 1;
}

/**
 * To the next segment; false, and dropped, when there is none. The hop limit is left to forwarding, and no checksum changes:
 * the pseudo-header has had the last segment from the start.
 */
function advance(packet: Packet, offset: u32): bool {
  const left = offset == 0 ? 0 : packet.srhAt(offset).segmentsLeft;
  if (left == 0) {
    packet.drop(DropReason.HopLimitSrh);
    return false;
  }
  const srh = packet.srhAt(offset);
  srh.segmentsLeft = left - 1;
  packet.ipv6.destination.copyFrom(srh.segment(left - 1));
  packet.markWritten();
  forwarded.add();
  return true;
}

/** Takes the outer headers off a packet that ends here; false, and dropped, when it does not or is another inside. */
function decapsulate(packet: Packet, offset: u32, inner: u32): bool {
  const left = offset == 0 ? 0 : packet.srhAt(offset).segmentsLeft;
  const start = packet.extensionOffset(inner);
  if (left != 0 || start == 0 || !packet.pop(start)) {
    packet.drop(DropReason.HopLimitSrh);
    return false;
  }
  decapsulated.add();
  return true;
}
