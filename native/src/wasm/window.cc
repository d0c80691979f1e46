#include "wasm/window.h"

#include <netinet/in.h>

namespace sluice {

namespace {

/// Bytes of an L4 header that must be in the window for its offset to be told.
uint16_t least_l4(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return 20;
    case IPPROTO_SCTP:
      return 12;
    default:
      return 8;
  }
}

}  // namespace

uint64_t Window::visible_offsets(const PacketMeta& meta, uint16_t head_length) {
  uint16_t l4 = meta.l4_offset, inner_l3 = meta.inner_l3_offset, inner_l4 = meta.inner_l4_offset;
  if (l4 + least_l4(meta.protocol) > head_length) l4 = 0;
  constexpr uint16_t kIpv4Header = 20, kIpv6Header = 40, kQuotedL4 = 8;  // RFC 792: 8 bytes of L4 are quoted at least
  if (inner_l3 + (meta.family == 4 ? kIpv4Header : kIpv6Header) > head_length) inner_l3 = inner_l4 = 0;
  if (inner_l4 + kQuotedL4 > head_length) inner_l4 = 0;
  return l4 | uint64_t{meta.payload_offset} << 16 | uint64_t{inner_l3} << 32 | uint64_t{inner_l4} << 48;
}

void Window::copy_short(uint8_t* to, const rte_mbuf* packet, uint16_t size) {
  if (likely(packet->data_len >= size)) {
    rte_memcpy(to, rte_pktmbuf_mtod(packet, const uint8_t*), size);
    return;
  }
  for (uint16_t done = 0; done < size; packet = packet->next) {
    const uint16_t part = RTE_MIN(packet->data_len, static_cast<uint16_t>(size - done));
    std::memcpy(to + done, rte_pktmbuf_mtod(packet, const uint8_t*), part);
    done = static_cast<uint16_t>(done + part);
  }
}

Result<Window> Window::create() {
  Window window;
  Result<SharedRegion> region = SharedRegion::create("sluice-window", abi::kWindowSize, true);
  if (!region) return region.error();
  window.region_ = std::move(region.value());
  return window;
}

void Window::set_new_slot(uint16_t index, bool fresh) {
  constexpr uint64_t kBit = uint64_t{static_cast<uint16_t>(abi::Flag::NEW_SLOT)} << 48;
  const uint64_t lengths = fresh ? expected_[index].lengths | kBit : expected_[index].lengths & ~kBit;
  expected_[index].lengths = lengths;
  std::memcpy(slot(index) + 8, &lengths, 8);
}

}  // namespace sluice
