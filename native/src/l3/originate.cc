#include "l3/originate.h"

#include "l3/address.h"
#include "l3/headers.h"
#include "l3/routing.h"
#include "parse/parse.h"

namespace sluice {

rte_mbuf* new_packet(WorkerContext& ctx) {
  rte_mbuf* packet = rte_pktmbuf_alloc(ctx.pool);
  if (packet == nullptr) return nullptr;
  PacketMeta* meta = meta_of(packet);
  memset(meta, 0, sizeof *meta);
  meta->in_port = kNoPort;
  meta->out_port = kNoPort;
  meta->next_hop = kNoNextHop;
  return packet;
}

void write_ip_header(rte_mbuf* packet, uint8_t family, const uint8_t* source, const uint8_t* destination,
                     uint8_t protocol, uint8_t ttl) {
  if (family == 4) {
    rte_ipv4_hdr* ip = ipv4_of(packet);
    memset(ip, 0, sizeof *ip);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len));
    ip->time_to_live = ttl;
    ip->next_proto_id = protocol;
    memcpy(&ip->src_addr, source, 4);
    memcpy(&ip->dst_addr, destination, 4);
    set_ipv4_checksum(ip);
  } else {
    rte_ipv6_hdr* ip = ipv6_of(packet);
    ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
    ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len - sizeof *ip));
    ip->proto = protocol;
    ip->hop_limits = ttl;
    memcpy(ip->src_addr, source, 16);
    memcpy(ip->dst_addr, destination, 16);
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
