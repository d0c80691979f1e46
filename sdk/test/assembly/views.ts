// What the views show of each packet, one value after the other: notes it in the trace as value 0, 1, 2, ..., by the
// mark.
import {
  Arp, Batch, ExtensionOption, HeaderOption, Ipv4, Packet, Protocol, TcpOption, TraceValue, Vlan, definePlugin
} from "@sluice/sdk";

definePlugin({ name: "views", version: "1.0.0", headerBytes: 320, failure: "FailOpen" });

const v0 = new TraceValue("v0");
const v1 = new TraceValue("v1");
const v2 = new TraceValue("v2");
const v3 = new TraceValue("v3");
const v4 = new TraceValue("v4");
const v5 = new TraceValue("v5");
const v6 = new TraceValue("v6");
const v7 = new TraceValue("v7");
let count = 0;

function show(packet: Packet, value: i64): void {
  switch (count++) {
    case 0: v0.note(packet, value); break;
    case 1: v1.note(packet, value); break;
    case 2: v2.note(packet, value); break;
    case 3: v3.note(packet, value); break;
    case 4: v4.note(packet, value); break;
    case 5: v5.note(packet, value); break;
    case 6: v6.note(packet, value); break;
    case 7: v7.note(packet, value); break;
  }
}

function options(packet: Packet, first: HeaderOption): void {
  for (let option = first; option.isPresent; option = option.next) {
    show(packet, option.kind << 16 | option.offset << 8 | option.length);
  }
}

function look(packet: Packet, what: u32): void {
  switch (what) {
    case 1: {
      const link = packet.ethernet;
      show(packet, link.destination);
      show(packet, link.source);
      show(packet, link.type);
      show(packet, link.isMulticast);
      show(packet, packet.vlans);
      break;
    }
    case 2: {
      for (let i: u32 = 0; i < packet.vlans; i++) {
        const tag: Vlan = packet.vlan(i);
        show(packet, tag.type);
        show(packet, tag.id);
        show(packet, tag.priority << 1 | <u32>tag.dropEligible);
      }
      break;
    }
    case 3: show(packet, packet.vlan(packet.vlans).id); break;
    case 4: show(packet, packet.hasEthernet); packet.push(1); show(packet, packet.hasEthernet); break;
    case 5: packet.push(1); show(packet, packet.ethernet.type); break;
    case 6: {
      const arp = packet.view<Arp>(packet.payloadOffset);
      show(packet, arp.isIpv4);
      show(packet, arp.operation);
      show(packet, arp.senderMac);
      show(packet, arp.senderAddress);
      show(packet, arp.targetMac);
      show(packet, arp.targetAddress);
      break;
    }
    case 10: {
      const ip = packet.ipv4;
      show(packet, ip.headerLength);
      show(packet, ip.trafficClass);
      show(packet, ip.totalLength);
      show(packet, ip.identification);
      show(packet, <i64>ip.dontFragment << 16 | <i64>ip.moreFragments << 8 | ip.fragmentOffset);
      show(packet, ip.ttl);
      show(packet, ip.protocol);
      show(packet, ip.source);
      break;
    }
    case 11: options(packet, packet.ipv4Options); break;
    case 12: {
      const ip = packet.ipv6;
      show(packet, ip.trafficClass);
      show(packet, ip.flowLabel);
      show(packet, ip.payloadLength);
      show(packet, ip.nextHeader);
      show(packet, ip.hopLimit);
      show(packet, ip.destination.low);
      show(packet, ip.source.isMulticast);
      break;
    }
    case 13: {
      for (let each = packet.extensions; each.isPresent; each = each.next) {
        show(packet, each.type << 16 | each.offset << 8 | each.length);
      }
      break;
    }
    case 14: {
      const fragment = packet.extension(Protocol.Fragment).fragment;
      show(packet, fragment.offset);
      show(packet, fragment.moreFragments);
      show(packet, fragment.identification);
      show(packet, fragment.nextHeader);
      break;
    }
    case 15: {
      const header = packet.extension(Protocol.Authentication).authentication;
      show(packet, header.length);
      show(packet, header.spi);
      show(packet, header.sequence);
      show(packet, header.nextHeader);
      break;
    }
    case 16: {
      const header = packet.extension(Protocol.Routing);
      show(packet, header.routingType);
      show(packet, header.segmentsLeft);
      show(packet, packet.srhAt(header.offset).segment(0).low);
      break;
    }
    case 17: {
      let option: ExtensionOption = packet.extension(Protocol.DestinationOptions).options;
      for (; option.isPresent; option = option.next) {
        show(packet, option.type << 8 | option.length);
        if (option.length >= 4) show(packet, option.u32(option.length - 4));
      }
      break;
    }
    case 18: show(packet, packet.extension(Protocol.HopByHop).fragment.offset); break;
    case 19: show(packet, packet.extension(Protocol.HopByHop).u8(packet.extension(Protocol.HopByHop).length)); break;
    case 20: {
      const tcp = packet.tcp;
      show(packet, tcp.sequence);
      show(packet, tcp.acknowledgment);
      show(packet, tcp.headerLength);
      show(packet, tcp.flags);
      show(packet, <i64>tcp.syn << 3 | <i64>tcp.hasAck << 2 | <i64>tcp.fin << 1 | <i64>tcp.rst);
      show(packet, tcp.window);
      show(packet, packet.tcpMss);
      break;
    }
    case 21: options(packet, packet.tcpOptions); break;
    case 22: {
      show(packet, packet.tcpOption(TcpOption.WindowScale).u8(0));
      show(packet, packet.tcpOption(TcpOption.Timestamps).u32(4));
      show(packet, packet.tcpOption(TcpOption.Sack).isPresent);
      break;
    }
    case 23: show(packet, packet.tcpOption(TcpOption.Mss).u16(1)); break;
    case 24: show(packet, packet.tcpOption(TcpOption.Sack).kind); break;
    case 30: {
      show(packet, packet.udp.length);
      show(packet, packet.udp.hasChecksum);
      show(packet, packet.isVxlan);
      if (!packet.isVxlan) break;
      show(packet, packet.vxlan.hasVni);
      show(packet, packet.vxlan.vni);
      break;
    }
    case 31: {
      show(packet, packet.sctp.verificationTag);
      for (let chunk = packet.sctpChunks; chunk.isPresent; chunk = chunk.next) {
        show(packet, chunk.type << 16 | chunk.flags << 8 | chunk.length);
        if (chunk.length >= 4) show(packet, chunk.u32(0));
      }
      break;
    }
    case 32: show(packet, packet.sctpChunks.u8(packet.sctpChunks.length)); break;
    case 33: {
      show(packet, packet.icmp.type << 8 | packet.icmp.code);
      show(packet, packet.icmp.identifier);
      show(packet, packet.icmp.nextMtu);
      if (packet.isIpv6) show(packet, packet.icmpv6.mtu);
      break;
    }
    case 34: show(packet, packet.icmpv6.pointer); break;
    case 35: show(packet, packet.esp.spi); show(packet, packet.esp.sequence); break;
    case 36: show(packet, packet.isIcmp); break;
    case 37: show(packet, packet.icmp.type); break;
    case 40: {
      packet.push(40);
      let sum: u32 = 0;
      for (let i: u32 = 0; i < 40; i++) sum |= packet.u8At(i);
      show(packet, sum);
      packet.view<Ipv4>(0).begin();
      show(packet, packet.view<Ipv4>(0).headerLength);
      show(packet, packet.tcpOptions.isPresent || packet.extensions.isPresent || packet.sctpChunks.isPresent);
      break;
    }
  }
}

@hook("forward")
function forward(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    count = 0;
    look(packet, packet.mark);
  }
}
