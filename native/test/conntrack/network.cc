#include "conntrack/network.h"

#include <rte_malloc.h>

#include <cstring>
#include <stdexcept>

#include "parse/parse.h"

namespace sluice::testing {
namespace {

std::string hex16(uint16_t value) {
  const uint8_t bytes[] = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
  return to_hex(bytes, 2);
}

std::string hex32(uint32_t value) {
  return hex16(static_cast<uint16_t>(value >> 16)) + hex16(static_cast<uint16_t>(value));
}

std::string hex8(uint8_t value) {
  return to_hex(&value, 1);
}

Bytes packet(int family, const Endpoints& ends, uint8_t protocol, const std::string& payload) {
  if (family == 4) return ip4({protocol, payload, ends.source, ends.destination});
  return ip6({protocol, payload, ends.source, ends.destination});
}

std::string ports(const Endpoints& ends) {
  return hex16(ends.source_port) + hex16(ends.destination_port);
}

void write(rte_mbuf* packet, size_t offset, const Bytes& bytes) {
  memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t*, offset), bytes.data(), bytes.size());
}

}  // namespace

Rcu::Rcu(uint32_t threads)
    : variable_(
          static_cast<rte_rcu_qsbr*>(rte_zmalloc(nullptr, rte_rcu_qsbr_get_memsize(threads), RTE_CACHE_LINE_SIZE))) {
  rte_rcu_qsbr_init(variable_, threads);
  for (uint32_t thread = 0; thread < threads; thread++) {
    rte_rcu_qsbr_thread_register(variable_, thread);
    rte_rcu_qsbr_thread_online(variable_, thread);
  }
}

Rcu::~Rcu() {
  rte_free(variable_);
}

Endpoints ends(int family, abi::CtDirection direction) {
  const Endpoints original = family == 4 ? Endpoints{kA4, kB4, 1000, 2000} : Endpoints{kA6, kB6, 1000, 2000};
  if (direction == abi::CtDirection::ORIGINAL) return original;
  return {original.destination, original.source, original.destination_port, original.source_port};
}

Bytes tcp(int family, const Endpoints& ends, uint8_t flags, uint32_t sequence, uint32_t acknowledgement) {
  return packet(family, ends, kTcp,
                ports(ends) + hex32(sequence) + hex32(acknowledgement) + "50" + hex8(flags) + "040000000000");
}

Bytes udp(int family, const Endpoints& ends) {
  return packet(family, ends, kUdp, ports(ends) + "00080000");
}

Bytes sctp(int family, const Endpoints& ends, uint8_t chunk) {
  return packet(family, ends, kSctp, ports(ends) + "0000000000000000" + hex8(chunk) + "000004");
}

Bytes echo(int family, const Endpoints& ends, bool reply, uint16_t id) {
  const std::string type = family == 4 ? (reply ? "00" : "08") : (reply ? "81" : "80");
  return packet(family, ends, family == 4 ? kIcmp : kIcmp6, type + "000000" + hex16(id) + "0001");
}

Bytes icmp_error(int family, const std::string& source, const std::string& destination, const Bytes& quoted) {
  const std::string header = family == 4 ? "0303000000000000" : "0104000000000000";
  return packet(family, {source, destination}, family == 4 ? kIcmp : kIcmp6, header + hex(quoted));
}

Network::Network(FlowTableConfig wanted) : config(std::move(wanted)) {
  context.worker.now_ns = 1000 * kSecond;
  restart();
}

FlowTableConfig Network::with_room_for(uint32_t flows) {
  FlowTableConfig config;
  config.max_flows = flows;
  return config;
}

void Network::restart() {
  table.reset();
  auto opened = FlowTable::open(config, rcu.get(), context.worker.now_ns);
  if (!opened) throw std::runtime_error(opened.error().message);
  table = std::move(opened.value());
}

FlowState Network::state_of(uint32_t number) {
  FlowState state = FlowState::None;
  table->for_each([&](const FlowView& view) {
    if (view.number == number) state = view.state;
  });
  return state;
}

std::vector<Seen> Network::burst(const std::vector<Bytes>& packets, const Rewrite& rewrite) {
  std::vector<rte_mbuf*> sent, left;
  for (const Bytes& bytes : packets) {
    rte_mbuf* packet = context.packet(bytes);
    if (!parse_packet(packet)) {
      throw std::runtime_error(abi::kDropReasonNames[meta_of(packet)->reason]);
    }
    sent.push_back(packet);
  }
  left = sent;
  // A second reference keeps the metadata of dropped packets readable.
  for (rte_mbuf* packet : sent) rte_mbuf_refcnt_update(packet, 1);
  auto count = static_cast<uint16_t>(left.size());
  table->track_burst(context.worker, left.data(), count);
  for (uint16_t i = 0; i < count && rewrite; i++) rewrite(left[i]);
  table->confirm_burst(context.worker, left.data(), count);
  table->settle_burst(context.worker);
  rcu.quiescent(0);

  std::vector<Seen> seen;
  for (rte_mbuf* packet : sent) {
    const PacketMeta& meta = *meta_of(packet);
    const bool dropped = rte_mbuf_refcnt_read(packet) == 1;
    seen.push_back({static_cast<abi::CtState>(meta.ct_state), static_cast<abi::CtDirection>(meta.ct_direction),
                    meta.flow, dropped, meta.flow != 0 ? state_of(meta.flow - 1) : FlowState::None});
    if (!dropped) rte_pktmbuf_free(packet);
    rte_pktmbuf_free(packet);
  }
  return seen;
}

Seen Network::send_dropped(const Bytes& bytes, const Rewrite& look) {
  rte_mbuf* packet = context.packet(bytes);
  if (!parse_packet(packet)) throw std::runtime_error(abi::kDropReasonNames[meta_of(packet)->reason]);
  uint16_t count = 1;
  table->track_burst(context.worker, &packet, count);
  const PacketMeta& meta = *meta_of(packet);
  const Seen seen{static_cast<abi::CtState>(meta.ct_state), static_cast<abi::CtDirection>(meta.ct_direction), meta.flow,
                  true, FlowState::None};
  if (look) look(packet);
  context.worker.drop(packet, abi::DropReason::Policy);
  table->settle_burst(context.worker);
  rcu.quiescent(0);
  return seen;
}

Network::Rewrite rewrite_source(int family, const std::string& address, uint16_t port) {
  return [=](rte_mbuf* packet) {
    write(packet, family == 4 ? 12 : 8, from_hex(address));
    write(packet, meta_of(packet)->l4_offset, from_hex(hex16(port)));
  };
}

Network::Rewrite rewrite_destination(int family, const std::string& address, uint16_t port) {
  return [=](rte_mbuf* packet) {
    write(packet, family == 4 ? 16 : 24, from_hex(address));
    write(packet, meta_of(packet)->l4_offset + 2u, from_hex(hex16(port)));
  };
}

}  // namespace sluice::testing
