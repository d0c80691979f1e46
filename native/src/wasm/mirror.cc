#include "wasm/mirror.h"

#include <rte_byteorder.h>
#include <rte_ether.h>

#include <cstring>

#include "port/offload.h"
#include "port/port.h"

namespace sluice {

namespace {

constexpr auto kSuper = static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
constexpr auto kPartial = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
constexpr auto kTraced = static_cast<uint16_t>(abi::Flag::TRACED);

/// Link header bytes that lie before the packet's data.
void give_link_header(rte_mbuf* copy, const rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(copy);
  uint8_t* const head = rte_pktmbuf_mtod(copy, uint8_t*);
  if (meta.l2_length > 0 && meta.l2_length <= rte_pktmbuf_headroom(copy)) {
    std::memcpy(head - meta.l2_length, rte_pktmbuf_mtod(packet, const uint8_t*) - meta.l2_length, meta.l2_length);
    return;
  }
  meta.l2_length = sizeof(rte_ether_hdr);
  rte_ether_hdr link{};
  link.ether_type = meta.family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
  std::memcpy(head - sizeof link, &link, sizeof link);
}

void send_frame(WorkerContext& ctx, PortId port, rte_mbuf* frame) {
  // Its place is in the headroom already.
  rte_pktmbuf_prepend(frame, meta_of(frame)->l2_length);
  ctx.transmit(port, frame);
}

void send_segments(WorkerContext& ctx, const Port& port, rte_mbuf* copy) {
  constexpr uint16_t kMaxSegments = 256;
  rte_mbuf* segments[kMaxSegments];
  const uint16_t count = segment(copy, port.mtu, ctx.pool, segments, kMaxSegments);
  if (count == 0) return ctx.drop(copy, abi::DropReason::GsoFailed);
  for (uint16_t i = 0; i < count; i++) send_frame(ctx, port.id, segments[i]);
}

}  // namespace

bool has_port(const WorkerContext& ctx, uint32_t port) {
  return port < kMaxPorts && ctx.ports->at(static_cast<PortId>(port)) != nullptr;
}

rte_mbuf* copy_to_mirror(WorkerContext& ctx, rte_mbuf* packet, uint32_t length) {
  rte_mbuf* copy = rte_pktmbuf_copy(packet, ctx.pool, 0, length == 0 ? UINT32_MAX : length);
  if (copy == nullptr) return nullptr;
  PacketMeta& meta = *meta_of(copy);
  meta = *meta_of(packet);
  meta.flags = static_cast<uint16_t>(meta.flags & ~kTraced);
  meta.traced = 0;
  if (copy->pkt_len < packet->pkt_len) {
    meta.flags = static_cast<uint16_t>(meta.flags & ~(kSuper | kPartial));
    meta.gso_size = meta.gso_l3_offset = meta.gso_l4_offset = 0;
  }
  give_link_header(copy, packet);
  return copy;
}

void send_mirror(WorkerContext& ctx, PortId id, rte_mbuf* copy) {
  const Port& port = *ctx.ports->at(id);
  PacketMeta& meta = *meta_of(copy);
  const bool super = (meta.flags & kSuper) != 0;
  const bool takes_offloads = port.offloads() && meta.gso_l4_offset == 0;
  if (super && !takes_offloads) return send_segments(ctx, port, copy);
  if (!super && copy->pkt_len > port.mtu) return ctx.drop(copy, abi::DropReason::PacketTooBig);
  if (!takes_offloads && !complete_checksum(copy)) return ctx.drop(copy, abi::DropReason::GsoFailed);
  send_frame(ctx, id, copy);
}

}  // namespace sluice
