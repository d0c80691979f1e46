// Bursts of TCP packets of a few flows, mostly in their order, are joined into super-frames: cut again they are the
// very same packets, none is missing, and each flow's order is as it was.
#include <netinet/in.h>

#include <algorithm>
#include <map>

#include "check.h"
#include "fuzz_packets.h"
#include "packets.h"
#include "parse/parse.h"
#include "port/coalesce.h"
#include "port/offload.h"
#include "tcp.h"

namespace sluice::fuzz {
namespace {

constexpr uint32_t kFlows = 12;  ///< more than are joined at a time
constexpr uint16_t kMost = 256;

/// One field is another than the flow's next packet would have.
void deviate(Source& source, TcpPacket& packet) {
  switch (source.below(16)) {
    case 0:
      packet.sequence += source.byte();
      break;
    case 1:
      packet.flags = source.byte();
      break;
    case 2:
      packet.acknowledgement++;
      break;
    case 3:
      packet.window++;
      break;
    case 4:
      packet.urgent = source.word();
      break;
    case 5:
      packet.reserved = source.byte() & 15;
      break;
    case 6:
      packet.traffic_class = source.byte();
      break;
    case 7:
      packet.ttl--;
      break;
    case 8:
      packet.flow_label = source.word();
      break;
    case 9:
      packet.id = source.word();
      break;
    case 10:
      packet.fragment = static_cast<uint16_t>(source.rarely(2) ? 0x4000 : source.byte() << 8);
      break;
    case 11:
      packet.ip_options = packet.v6 ? Bytes{0, 0, 1, 4, 0, 0, 0, 0} : Bytes(4, 1);
      break;
    case 12:
      packet.options = packet.options.empty() ? Bytes(4, 1) : Bytes{};
      break;
    case 13:
      if (!packet.options.empty()) packet.options.back()++;
      break;
    case 14:
      packet.destination_port++;
      break;
    default:
      packet.payload.clear();
  }
}

/// The packets of a burst, as they came.
struct Burst {
  std::vector<rte_mbuf*> packets;
  std::map<const rte_mbuf*, Bytes> bytes;
};

/// From a flow's next fields; the flow goes on behind it.
Bytes next_packet(Source& source, TcpPacket& flow) {
  TcpPacket packet = flow;
  const size_t size = source.rarely(8) ? source.byte() : 100u * (1 + flow.source[0] % 12);
  packet.payload = Bytes(size, source.byte());
  if (source.rarely(8)) packet.flags |= 0x08;
  if (source.rarely(6)) deviate(source, packet);
  if (source.rarely(16)) flow = packet;  // it goes on like this
  flow.sequence = packet.sequence + static_cast<uint32_t>(packet.payload.size());
  flow.id = static_cast<uint16_t>(packet.id + 1);
  Bytes bytes = packet.bytes();
  if (source.rarely(16)) bytes[source.word() % bytes.size()] ^= static_cast<uint8_t>(1 + source.below(255));
  return bytes;
}

void receive(testing::TestContext& context, Source& source, const Bytes& bytes, Burst& burst) {
  const auto port = static_cast<PortId>(source.rarely(16));
  const auto cut =
      static_cast<long>(source.rarely(16) ? std::min<size_t>(bytes.size(), 1 + source.byte()) : bytes.size());
  rte_mbuf* packet = context.packet(Bytes(bytes.begin(), bytes.begin() + cut), port);
  if (cut < static_cast<long>(bytes.size()))
    FUZZ_CHECK(rte_pktmbuf_chain(packet, context.packet(Bytes(bytes.begin() + cut, bytes.end()), port)) == 0, "pieces");
  if (!parse_packet(packet)) return rte_pktmbuf_free(packet);
  burst.bytes[packet] = testing::bytes_of(packet);
  burst.packets.push_back(packet);
}

Burst burst(testing::TestContext& context, Source& source) {
  std::vector<TcpPacket> flows;
  const uint32_t used = 1 + source.below(kFlows);
  for (uint32_t i = 0; i < used; i++) flows.push_back(tcp_packet(source, i));
  Burst made;
  uint32_t turn = 0;
  while (!source.empty() && made.packets.size() < 200) {
    if (source.rarely(2)) turn = source.below(used);
    receive(context, source, next_packet(source, flows[turn]), made);
  }
  return made;
}

/// What a packet must stay in order with: those of the same protocol, ends and port of entry.
Bytes flow_of(const rte_mbuf* packet, const Bytes& bytes) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  Bytes key = {meta.protocol, meta.family, static_cast<uint8_t>(meta.in_port)};
  const long addresses = meta.family == 4 ? 12 : 8, end = meta.family == 4 ? 20 : 40;
  key.insert(key.end(), bytes.begin() + addresses, bytes.begin() + end);
  if (meta.l4_offset != 0) key.insert(key.end(), bytes.begin() + meta.l4_offset, bytes.begin() + meta.l4_offset + 4);
  return key;
}

using Flows = std::map<Bytes, std::vector<Bytes>>;

/// Takes the packets, super-frames cut, and frees them.
Flows taken_apart(testing::TestContext& context, const std::vector<rte_mbuf*>& packets) {
  Flows flows;
  for (rte_mbuf* packet : packets) {
    rte_mbuf* out[kMost] = {packet};
    uint16_t count = 1;
    if (has_flag(*meta_of(packet), abi::Flag::SUPER_FRAME)) {
      const uint32_t length = packet->pkt_len;
      FUZZ_CHECK(length <= UINT16_MAX, "%u bytes", length);
      rte_mbuf_sanity_check(packet, 1);
      count = segment(packet, UINT16_MAX, context.pools.packets, out, kMost);
      FUZZ_CHECK(count > 1, "a super-frame of %u bytes is cut into %u", length, count);
    }
    for (uint16_t i = 0; i < count; i++) {
      const Bytes bytes = testing::bytes_of(out[i]);
      flows[flow_of(out[i], bytes)].push_back(bytes);
      rte_pktmbuf_free(out[i]);
    }
  }
  return flows;
}

void check_same(const Flows& before, const Flows& after) {
  FUZZ_CHECK(before.size() == after.size(), "%zu flows, then %zu", before.size(), after.size());
  for (const auto& [key, packets] : before) {
    const auto found = after.find(key);
    FUZZ_CHECK(found != after.end() && found->second.size() == packets.size(), "a flow of %zu packets", packets.size());
    for (size_t i = 0; i < packets.size(); i++) {
      const Bytes& out = found->second[i];
      FUZZ_CHECK(packets[i] == out, "packet %zu was\n%s\nand is\n%s", i,
                 testing::to_hex(packets[i].data(), packets[i].size()).c_str(),
                 testing::to_hex(out.data(), out.size()).c_str());
    }
  }
}

void attack(testing::TestContext& context, Source& source) {
  Burst made = burst(context, source);
  Flows before;
  for (const rte_mbuf* packet : made.packets) before[flow_of(packet, made.bytes[packet])].push_back(made.bytes[packet]);
  made.packets.resize(coalesce(made.packets.data(), static_cast<uint16_t>(made.packets.size())));
  check_same(before, taken_apart(context, made.packets));
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return sluice::fuzz::fuzz_packets(data, size, sluice::fuzz::attack);
}
