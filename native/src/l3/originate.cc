#include "l3/originate.h"

#include "l3/address.h"
#include "l3/headers.h"
#include "l3/routing.h"
#include "parse/parse.h"

namespace sluice {

void write_ip_header(uint8_t* at, const IpHeader& header, uint32_t length) {
  if (header.family == 4) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(at);
    memset(ip, 0, sizeof *ip);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(length));
    ip->time_to_live = header.ttl;
    ip->next_proto_id = header.protocol;
    memcpy(&ip->src_addr, header.source, 4);
    memcpy(&ip->dst_addr, header.destination, 4);
    set_ipv4_checksum(ip);
  } else {
    auto* ip = reinterpret_cast<rte_ipv6_hdr*>(at);
    ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
    ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(length - sizeof *ip));
    ip->proto = header.protocol;
    ip->hop_limits = header.ttl;
    memcpy(ip->src_addr, header.source, 16);
    memcpy(ip->dst_addr, header.destination, 16);
  }
}

void send_own(WorkerContext& ctx, rte_mbuf* packet, PortId toward) {
  PacketMeta& meta = *meta_of(packet);
  if (!parse_packet(packet)) return ctx.drop(packet, static_cast<abi::DropReason>(meta.reason));
  const PortL3* port = ctx.routing->port(toward);
  if (port != nullptr) meta.table = port->table;
  if (is_link_local(meta.family, destination_of(packet, meta.family))) {
    meta.redirected = 1;
    meta.out_port = toward;
    memset(meta.next_hop_address, 0, sizeof meta.next_hop_address);
  }
  ctx.originate(packet);
}

}  // namespace sluice
