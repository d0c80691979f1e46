import { Counter, dropReason, Ipv6, Ipv6Address, mix, Packet, Protocol, Srh } from "@sluice/sdk";
import { policies, Policy, policyByDestination, segments } from "./tables";

const encapsulated = new Counter("encapsulated_packets", "Packets put into an outer header");

const tooLong = dropReason("encapsulation-too-long", "With its outer header the packet would be longer than IPv6 allows");
const noRoom = dropReason("no-headroom", "No room for the outer header: the packet was encapsulated before on its way");

const IPV6: u32 = 40;

const source = new Ipv6Address();

export function encapsulate(packet: Packet): void {
  let number = packet.isIpv6
    ? policyByDestination.lookup6(packet.ipv6.destination)
    : policyByDestination.lookup4(packet.ipv4.destination);
  if (number == 0) return;
  if (packet.isIpv6) {
    source.copyFrom(packet.ipv6.source);
  } else {
    source.high = 0;
    source.low = packet.ipv4.source;
  }
  while (number != 0) {
    const policy = policies.at(number - 1);
    if (source.matches(policy.matchSource, policy.matchLength)) {
      wrap(packet, policy);
      return;
    }
    number = policy.next;
  }
}

/** H.Encaps, or H.Encaps.Red without the first segment in the header (RFC 8986, sections 5.1 and 5.2). */
function wrap(packet: Packet, policy: Policy): void {
  const isIpv6 = packet.isIpv6;
  const listed = policy.isReduced != 0 ? policy.segments - 1 : policy.segments;
  const routing: u32 = listed == 0 ? 0 : 8 + (listed << 4);
  const payload = packet.length + routing;
  if (payload > 65535) return packet.drop(tooLong);
  const trafficClass = isIpv6 ? packet.ipv6.trafficClass : packet.ipv4.trafficClass;
  const label = policy.hashesLabel != 0 ? <u32>mix(packet.hash) & 0xfffff : isIpv6 ? packet.ipv6.flowLabel : 0;
  const hopLimit = policy.hopLimit != 0 ? policy.hopLimit : packet.hopLimit;
  if (!packet.push(IPV6 + routing)) return packet.drop(noRoom);
  const inner = isIpv6 ? Protocol.Ipv6 : Protocol.Ipv4;
  const outer = packet.view<Ipv6>(0);
  outer.begin(trafficClass, label, payload, listed == 0 ? inner : Protocol.Routing, hopLimit);
  outer.source.copyFrom(policy.source);
  outer.destination.copyFrom(segments.at(policy.firstSegment));
  if (listed != 0) {
    const srh = packet.view<Srh>(IPV6);
    srh.begin(inner, listed);
    srh.segmentsLeft = policy.segments - 1;
    for (let i: u32 = 0; i < listed; i++) {
      srh.segment(i).copyFrom(segments.at(policy.firstSegment + policy.segments - 1 - i));
    }
  }
  encapsulated.add();
}
