#pragma once

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <cstdint>
#include <vector>

#include "core/packet.h"

namespace sluice::bench {

/// The algorithm of stages/dnat.ts in C++, on the packets themselves: the same hash, table layout and checksum
/// arithmetic, without sandbox and window. What a stage is compared with.
class NativeDnat {
 public:
  explicit NativeDnat(uint32_t targets) {
    uint32_t capacity = 8;
    while (capacity < 4 * targets) capacity <<= 1;
    slots_.resize(capacity);
    mask_ = capacity - 1;
    for (uint32_t i = 0; i < targets; i++) {
      insert(key_of(0x0a000000 + i, 80, IPPROTO_UDP), {0x0b000000 + i, 8080});
      insert(key_of(0x0b000000 + i, 8080, IPPROTO_UDP), {0x0a000000 + i, 80});
    }
  }

  void process(rte_mbuf** packets, uint16_t count) const {
    for (uint16_t i = 0; i < count; i++) {
      rte_mbuf* packet = packets[i];
      PacketMeta& meta = *meta_of(packet);
      if (meta.family != 4 || meta.protocol != IPPROTO_UDP || meta.l4_offset == 0) continue;
      auto* ip = rte_pktmbuf_mtod(packet, rte_ipv4_hdr*);
      auto* udp = rte_pktmbuf_mtod_offset(packet, rte_udp_hdr*, meta.l4_offset);
      const Target* target =
          find(key_of(rte_be_to_cpu_32(ip->dst_addr), rte_be_to_cpu_16(udp->dst_port), meta.protocol));
      if (target == nullptr) continue;
      rewrite(*ip, *udp, *target);
      meta.rewritten = 1;
    }
  }

 private:
  struct Target {
    uint32_t address, port;
  };
  struct Slot {
    uint32_t tag = 0, spare = 0;
    Target value{};
    uint64_t key = 0;
  };

  static uint64_t key_of(uint32_t address, uint32_t port, uint32_t protocol) {
    return uint64_t{address} << 32 | (port << 8 | protocol);
  }
  static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 32)) * 0xd6e8feb86659fd93;
    value = (value ^ (value >> 32)) * 0xd6e8feb86659fd93;
    return value ^ (value >> 32);
  }

  void insert(uint64_t key, Target value) {
    const uint64_t hash = mix(key);
    uint32_t i = static_cast<uint32_t>(hash) & mask_;
    while (slots_[i].tag != 0) i = (i + 1) & mask_;
    slots_[i] = {static_cast<uint32_t>(hash >> 32) | 1, 0, value, key};
  }

  const Target* find(uint64_t key) const {
    const uint64_t hash = mix(key);
    const uint32_t tag = static_cast<uint32_t>(hash >> 32) | 1;
    for (uint32_t i = static_cast<uint32_t>(hash) & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.tag == 0) return nullptr;
      if (slot.tag == tag && slot.key == key) return &slot.value;
    }
  }

  static uint32_t fold(uint64_t sum) {
    const auto words = static_cast<uint32_t>((sum + (sum << 32 | sum >> 32)) >> 32);
    return (words + (words << 16 | words >> 16)) >> 16;
  }
  static uint16_t adjusted(uint16_t field, uint64_t delta) {
    return static_cast<uint16_t>(~fold((field ^ 0xffffu) + delta));
  }
  static uint16_t adjusted_udp(uint16_t field, uint64_t delta) {
    if (field == 0) return 0;
    const uint16_t sum = adjusted(field, delta);
    return sum == 0 ? 0xffff : sum;
  }

  static void rewrite(rte_ipv4_hdr& ip, rte_udp_hdr& udp, const Target& target) {
    const uint32_t address = rte_cpu_to_be_32(target.address);
    const uint16_t port = rte_cpu_to_be_16(static_cast<uint16_t>(target.port));
    const uint64_t of_address = uint64_t{~ip.dst_addr} + address;
    const uint64_t of_port = uint64_t{udp.dst_port ^ 0xffffu} + port;
    ip.dst_addr = address;
    udp.dst_port = port;
    ip.hdr_checksum = adjusted(ip.hdr_checksum, of_address);
    udp.dgram_cksum = adjusted_udp(udp.dgram_cksum, of_address + of_port);
  }

  std::vector<Slot> slots_;
  uint32_t mask_;
};

}  // namespace sluice::bench
