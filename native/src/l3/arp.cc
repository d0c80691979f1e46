#include <rte_arp.h>

#include "core/tracer.h"
#include "l3/headers.h"
#include "l3/neighbours.h"
#include "l3/originate.h"
#include "l3/solicit.h"

namespace sluice {
namespace {

struct ArpFrame {
  rte_ether_hdr ethernet;
  rte_arp_hdr arp;
};
static_assert(sizeof(ArpFrame) == 42);

void send_arp(WorkerContext& ctx, PortId port_id, const PortL3& port, uint16_t opcode, const rte_ether_addr& to,
              const rte_arp_ipv4& data) {
  rte_mbuf* packet = new_packet(ctx.pool);
  if (packet == nullptr) return;
  auto* frame = reinterpret_cast<ArpFrame*>(rte_pktmbuf_append(packet, sizeof(ArpFrame)));
  frame->ethernet = {to, port.mac, RTE_BE16(RTE_ETHER_TYPE_ARP)};
  frame->arp.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
  frame->arp.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
  frame->arp.arp_hlen = RTE_ETHER_ADDR_LEN;
  frame->arp.arp_plen = sizeof(uint32_t);
  frame->arp.arp_opcode = rte_cpu_to_be_16(opcode);
  frame->arp.arp_data = data;
  meta_of(packet)->l2_length = sizeof(rte_ether_hdr);
  ctx.transmit(port_id, packet);
}

void answer(WorkerContext& ctx, PortId port_id, const PortL3& port, const rte_arp_ipv4& asked) {
  send_arp(ctx, port_id, port, RTE_ARP_OP_REPLY, asked.arp_sha,
           {port.mac, asked.arp_tip, asked.arp_sha, asked.arp_sip});
}

/// RFC 826, with RFC 5227 for probes (no sender address) and announcements (sender and target are the same).
void handle(WorkerContext& ctx, PortId in_port, const PortL3& port, const rte_arp_hdr& arp) {
  const rte_arp_ipv4 data = arp.arp_data;
  uint8_t sender[4], target[4];
  memcpy(sender, &data.arp_sip, 4);
  memcpy(target, &data.arp_tip, 4);
  const bool probe = data.arp_sip == 0;
  const bool announcement = data.arp_sip == data.arp_tip;
  const bool request = arp.arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
  const bool own_target = ctx.routing->owns(in_port, 4, target);
  const bool answers = request && !announcement && (own_target || (!probe && may_proxy(ctx, in_port, 4, target)));
  if (!probe && !is_multicast(4, sender) && !ctx.routing->owns(in_port, 4, sender)) {
    ctx.neighbours->learn(ctx,
                          {NeighbourKey::of(in_port, 4, sender), data.arp_sha, !request && own_target, true, answers});
  }
  if (answers) answer(ctx, in_port, port, data);
}

}  // namespace

void handle_arp(WorkerContext& ctx, rte_mbuf* packet) {
  const PortId in_port = meta_of(packet)->in_port;
  const PortL3* port = ctx.routing->port(in_port);
  if (port == nullptr) return ctx.drop(packet, abi::DropReason::PortDown);
  if (packet->data_len < sizeof(rte_arp_hdr)) return ctx.drop(packet, abi::DropReason::MalformedArp);
  handle(ctx, in_port, *port, *rte_pktmbuf_mtod(packet, const rte_arp_hdr*));
  if (unlikely(ctx.tracer != nullptr)) ctx.tracer->end(ctx, packet, "neighbour", "ARP, taken in");
  rte_pktmbuf_free(packet);
}

void send_arp_request(WorkerContext& ctx, const PortL3& port, const NeighbourKey& target, const rte_ether_addr* known) {
  static constexpr rte_ether_addr kBroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  rte_arp_ipv4 data{};
  data.arp_sha = port.mac;
  if (const IpAddress* own = own_address_towards(port, 4, target.address, false)) {
    memcpy(&data.arp_sip, own->bytes.data(), 4);
  }
  memcpy(&data.arp_tip, target.address, 4);
  send_arp(ctx, target.port, port, RTE_ARP_OP_REQUEST, known != nullptr ? *known : kBroadcast, data);
}

}  // namespace sluice
