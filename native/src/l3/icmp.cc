#include "l3/icmp.h"

#include <netinet/in.h>

#include <algorithm>

#include "core/tracer.h"
#include "l3/address.h"
#include "l3/headers.h"
#include "l3/originate.h"
#include "l3/routing.h"

namespace sluice {
namespace {

constexpr uint32_t kIcmpHeader = 8;
constexpr uint32_t kLargestError4 = 576;   // RFC 1812 section 4.3.2.3
constexpr uint32_t kLargestError6 = 1280;  // RFC 4443 section 2.4 (c)

uint8_t icmp_protocol(uint8_t family) {
  if (family == 4) return IPPROTO_ICMP;
  return IPPROTO_ICMPV6;
}

struct TypeCode {
  uint8_t type, code;
};

TypeCode type_code(IcmpError error, uint8_t family) {
  const bool v4 = family == 4;
  switch (error) {
    case IcmpError::NoRoute:
      return v4 ? TypeCode{3, 0} : TypeCode{1, 0};
    case IcmpError::AddressUnreachable:
      return v4 ? TypeCode{3, 1} : TypeCode{1, 3};
    case IcmpError::ProtocolUnknown:
      return v4 ? TypeCode{3, 2} : TypeCode{4, 1};
    case IcmpError::PortUnreachable:
      return v4 ? TypeCode{3, 3} : TypeCode{1, 4};
    case IcmpError::PacketTooBig:
      return v4 ? TypeCode{3, 4} : TypeCode{2, 0};
    case IcmpError::BeyondScope:
      return v4 ? TypeCode{3, 1} : TypeCode{1, 2};
    case IcmpError::TtlExpired:
      return v4 ? TypeCode{11, 0} : TypeCode{3, 0};
    case IcmpError::ReassemblyExpired:
      return v4 ? TypeCode{11, 1} : TypeCode{3, 1};
  }
  return {};
}

/// The link header as received says that the frame went to more than one station.
bool link_multicast(const rte_mbuf* packet, const PacketMeta& meta) {
  if (meta.l2_length < RTE_ETHER_HDR_LEN || rte_pktmbuf_headroom(packet) < meta.l2_length) return false;
  return (*(rte_pktmbuf_mtod(packet, const uint8_t*) - meta.l2_length) & 1) != 0;
}

bool names_one_sender(uint8_t family, const uint8_t* source) {
  if (is_multicast(family, source) || is_unspecified(family, source)) return false;
  return family == 6 || (source[0] != 0 && source[0] != 127 && source[0] < 240);
}

bool is_later_fragment(const rte_mbuf* packet, const PacketMeta& meta) {
  if (meta.family == 4) return (ipv4_of(packet)->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK)) != 0;
  return has_flag(meta, abi::Flag::FRAGMENT) && meta.l4_offset == 0;
}

bool may_report(const rte_mbuf* packet, const PacketMeta& meta, IcmpError error) {
  if (meta.in_port == kNoPort || (meta.family != 4 && meta.family != 6)) return false;
  if (has_flag(meta, abi::Flag::ICMP_ERROR) || is_later_fragment(packet, meta)) return false;
  if (meta.family == 6 && meta.protocol == IPPROTO_ICMPV6 && meta.l4_offset != 0 && packet->data_len > meta.l4_offset &&
      *rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset) == 137) {
    return false;  // a redirect: RFC 4443 section 2.4 (e.2)
  }
  if (!names_one_sender(meta.family, source_of(packet, meta.family))) return false;
  // RFC 4443 section 2.4 (e.3): path MTU discovery works for multicast too.
  if (meta.family == 6 && error == IcmpError::PacketTooBig) return true;
  const uint8_t* destination = destination_of(packet, meta.family);
  if (is_multicast(meta.family, destination)) return false;
  if (meta.family == 4 && destination[0] >= 240) return false;
  return !link_multicast(packet, meta);
}

bool take_token(WorkerContext& ctx) {
  constexpr uint64_t kInterval = 1'000'000'000 / kIcmpErrorsPerSecond;
  const uint64_t earned = (ctx.now_ns - ctx.icmp_refilled_ns) / kInterval;
  if (earned != 0) {
    ctx.icmp_tokens = static_cast<uint32_t>(std::min<uint64_t>(ctx.icmp_tokens + earned, kIcmpErrorBurst));
    ctx.icmp_refilled_ns += earned * kInterval;
  }
  if (ctx.icmp_tokens == 0) return false;
  ctx.icmp_tokens--;
  return true;
}

/// Copies the start of `from` behind what `to` has.
bool quote(rte_mbuf* to, const rte_mbuf* from, uint32_t length) {
  auto* space = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(to, static_cast<uint16_t>(length)));
  if (space == nullptr) return false;
  const void* bytes = rte_pktmbuf_read(from, 0, length, space);
  if (bytes != space) memcpy(space, bytes, length);
  return true;
}

uint16_t sum_message(const rte_mbuf* packet, uint16_t l4_offset) {
  uint16_t sum = 0;
  rte_raw_cksum_mbuf(packet, l4_offset, packet->pkt_len - l4_offset, &sum);
  return sum;
}

uint32_t pseudo_sum6(const rte_mbuf* packet, uint16_t l4_offset) {
  struct {
    rte_be32_t length, protocol;
  } tail = {rte_cpu_to_be_32(packet->pkt_len - l4_offset), rte_cpu_to_be_32(IPPROTO_ICMPV6)};
  const rte_ipv6_hdr* ip = ipv6_of(packet);
  uint32_t sum = __rte_raw_cksum(ip->src_addr, 32, 0);
  return __rte_raw_cksum(&tail, sizeof tail, sum);
}

}  // namespace

void set_icmp_checksum(rte_mbuf* packet, uint8_t family, uint16_t l4_offset) {
  auto* icmp = rte_pktmbuf_mtod_offset(packet, uint16_t*, l4_offset);
  icmp[1] = 0;
  uint32_t sum = sum_message(packet, l4_offset);
  if (family == 6) sum += pseudo_sum6(packet, l4_offset);
  icmp[1] = static_cast<uint16_t>(~__rte_raw_cksum_reduce(sum));
}

bool icmp6_checksum_ok(const rte_mbuf* packet, uint16_t l4_offset) {
  return __rte_raw_cksum_reduce(sum_message(packet, l4_offset) + pseudo_sum6(packet, l4_offset)) == 0xffff;
}

void send_icmp_error(WorkerContext& ctx, const rte_mbuf* about, IcmpError error, uint32_t detail) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(about));
  if (!may_report(about, meta, error)) return;
  const PortL3* port = ctx.routing->port(meta.in_port);
  if (port == nullptr) return;
  const uint8_t family = meta.family;
  const IpAddress& source = family == 4 ? port->icmp_source4 : port->icmp_source6;
  if (source.family == 0 || !take_token(ctx)) return;

  rte_mbuf* packet = new_packet(ctx.pool);
  if (packet == nullptr) return;
  const uint16_t ip_header = family == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  const uint32_t room = (family == 4 ? kLargestError4 : kLargestError6) - ip_header - kIcmpHeader;
  auto* icmp = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(packet, ip_header + kIcmpHeader)) + ip_header;
  if (!quote(packet, about, std::min(about->pkt_len, room))) return rte_pktmbuf_free(packet);

  const TypeCode message = type_code(error, family);
  memset(icmp, 0, kIcmpHeader);
  icmp[0] = message.type;
  icmp[1] = message.code;
  // RFC 1191: the MTU is the low 16 bits, and unreachable protocols have no pointer; RFC 4443: all 32 for either.
  const uint32_t detail4 = error == IcmpError::PacketTooBig ? detail & 0xffff : 0;
  const rte_be32_t word = rte_cpu_to_be_32(family == 4 ? detail4 : detail);
  memcpy(icmp + 4, &word, sizeof word);
  write_ip_header(packet, {family, source.bytes.data(), source_of(about, family), icmp_protocol(family)});
  set_icmp_checksum(packet, family, ip_header);
  if (unlikely(ctx.tracer != nullptr)) {
    ctx.tracer->note(ctx, about, "originate", "%s error, type %u code %u", family == 4 ? "ICMP" : "ICMPv6",
                     message.type, message.code);
  }
  send_own(ctx, packet, meta.in_port);
}

}  // namespace sluice
