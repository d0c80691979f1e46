#include "wasm/call_requests.h"

#include <algorithm>
#include <cstring>

#include "core/buffers.h"
#include "core/tracer.h"
#include "core/unaligned.h"
#include "wasm/mirror.h"

namespace sluice {

namespace {

/// An IP header of a packet that is all there (RFC 791 section 3.1, RFC 8200 section 3). Parsing looks closer.
bool may_be_packet(const uint8_t* bytes, uint32_t length) {
  constexpr uint32_t kIpv4Header = 20, kIpv6Header = 40;
  if (length >= kIpv4Header && bytes[0] >> 4 == 4) return read16(bytes + 2) <= length;
  return length >= kIpv6Header && bytes[0] >> 4 == 6 && kIpv6Header + read16(bytes + 4) <= length;
}

/// Appends the bytes to a packet in as many buffers as they take. False when there are none left.
bool append(rte_mbuf* packet, rte_mempool* pool, const uint8_t* bytes, uint32_t length) {
  rte_mbuf* last = packet;
  while (true) {
    const auto part = static_cast<uint16_t>(std::min<uint32_t>(length, rte_pktmbuf_tailroom(last)));
    std::memcpy(rte_pktmbuf_mtod(last, uint8_t*), bytes, part);
    last->data_len = part;
    packet->pkt_len += part;
    bytes += part;
    length -= part;
    if (length == 0) return true;
    last->next = rte_pktmbuf_alloc(pool);
    if (last->next == nullptr) return false;
    last = last->next;
    packet->nb_segs++;
  }
}

}  // namespace

void CallRequests::begin(const uint16_t* list, uint16_t count, uint8_t passes) {
  last_mirror_.fill(kNotInList);
  for (uint16_t i = 0; i < count; i++) last_mirror_[list[i]] = kNone;
  mirror_count_ = emit_count_ = 0;
  passes_ = passes;
}

bool CallRequests::emit(WorkerContext& ctx, const uint8_t* bytes, uint32_t length, uint16_t table) {
  if (emit_count_ == abi::MAX_EMITS || !may_be_packet(bytes, length)) return false;
  rte_mbuf* packet = new_packet(ctx.pool);
  if (packet == nullptr) return false;
  if (!append(packet, ctx.pool, bytes, length) || (parse_ != nullptr && !parse_(packet))) {
    rte_pktmbuf_free(packet);
    return false;
  }
  meta_of(packet)->table = table;
  meta_of(packet)->passes = passes_;
  emitted_[emit_count_++] = packet;
  return true;
}

bool CallRequests::mirror(WorkerContext& ctx, uint16_t slot, rte_mbuf* packet, uint32_t port, uint32_t length) {
  if (mirror_count_ == kMaxMirrors || !has_port(ctx, port)) return false;
  for (int16_t at = last_mirror_[slot]; at != kNone; at = mirrors_[at].previous) {
    if (mirrors_[at].port == port) return false;
  }
  rte_mbuf* const copy = copy_to_mirror(ctx, packet, length);
  if (copy == nullptr) return false;
  mirrors_[mirror_count_] = {copy, last_mirror_[slot], static_cast<PortId>(port)};
  last_mirror_[slot] = static_cast<int16_t>(mirror_count_++);
  return true;
}

void CallRequests::send(WorkerContext& ctx, StageCounters& counters) {
  for (uint16_t i = 0; i < mirror_count_; i++) {
    if (unlikely(ctx.tracer != nullptr)) ctx.tracer->mirrored(ctx, mirrors_[i].port, mirrors_[i].copy);
    send_mirror(ctx, mirrors_[i].port, mirrors_[i].copy);
  }
  for (uint16_t i = 0; i < emit_count_; i++) ctx.originate(emitted_[i]);
  bump(counters.mirrored, mirror_count_);
  bump(counters.emitted, emit_count_);
  mirror_count_ = emit_count_ = 0;
}

void CallRequests::discard() {
  for (uint16_t i = 0; i < mirror_count_; i++) rte_pktmbuf_free(mirrors_[i].copy);
  for (uint16_t i = 0; i < emit_count_; i++) rte_pktmbuf_free(emitted_[i]);
  mirror_count_ = emit_count_ = 0;
}

}  // namespace sluice
