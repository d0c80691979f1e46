// What stages settle of flows, and packets that pass by it.
#include <gtest/gtest.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstring>

#include "conntrack/network.h"
#include "conntrack/translate.h"
#include "parse/parse.h"

namespace sluice {
namespace {

using namespace testing;
using abi::Hook;

constexpr auto orig = abi::CtDirection::ORIGINAL, reply = abi::CtDirection::REPLY;
constexpr uint8_t SYN = 2, ACK = 16;
constexpr uint16_t kHead = 64;

enum class Sum { Whole, Partial, None };

struct Row {
  const char* name;
  int family;
  uint8_t protocol;
  Sum sum;
};

std::string backend_of(int family) {
  return family == 4 ? "0a000063" : "20010db8000000000000000000000063";
}

uint16_t* checksum_of(rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  return rte_pktmbuf_mtod_offset(packet, uint16_t*, meta.l4_offset + (meta.protocol == IPPROTO_TCP ? 16 : 6));
}

/// The right checksum of the packet as it is, of this kind.
uint16_t right_sum(rte_mbuf* packet, Sum kind) {
  if (kind == Sum::None) return 0;
  const PacketMeta& meta = *meta_of(packet);
  const void* ip = rte_pktmbuf_mtod(packet, const void*);
  uint16_t* field = checksum_of(packet);
  const uint16_t kept = *field;
  *field = 0;
  const auto* ip4 = static_cast<const rte_ipv4_hdr*>(ip);
  const auto* ip6 = static_cast<const rte_ipv6_hdr*>(ip);
  const void* l4 = static_cast<const uint8_t*>(ip) + meta.l4_offset;
  uint16_t sum;
  if (kind == Sum::Partial) {
    sum = meta.family == 4 ? rte_ipv4_phdr_cksum(ip4, 0) : rte_ipv6_phdr_cksum(ip6, 0);
  } else {
    sum = meta.family == 4 ? rte_ipv4_udptcp_cksum(ip4, l4) : rte_ipv6_udptcp_cksum(ip6, l4);
  }
  *field = kept;
  return sum;
}

/// A flow between a client and a service whose address a stage translates to a backend's, answered once.
class Session {
 public:
  explicit Session(const Row& row) : row_(row) {
    const auto to_backend = rewrite_destination(row.family, backend_of(row.family), 8080);
    network.send(bytes(orig), to_backend);
    network.send(bytes(reply));
    flags_[0] = flags_[1] = ACK;
  }

  /// A packet of the flow, tracked, with its checksum right.
  rte_mbuf* packet(abi::CtDirection direction) {
    rte_mbuf* made = network.context.packet(bytes(direction));
    EXPECT_TRUE(parse_packet(made));
    if (row_.sum == Sum::Partial) meta_of(made)->flags |= static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    *checksum_of(made) = right_sum(made, row_.sum);
    if (row_.family == 4) {
      auto* ip = rte_pktmbuf_mtod(made, rte_ipv4_hdr*);
      ip->hdr_checksum = 0;
      ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
    uint16_t count = 1;
    network.table->track_burst(network.context.worker, &made, count);
    EXPECT_EQ(meta_of(made)->ct_state, static_cast<uint8_t>(abi::CtState::ESTABLISHED));
    return made;
  }

  /// What a stage at prerouting does for a packet of this direction, which it settles.
  void settle(abi::CtDirection direction, uint32_t epoch, uint16_t stage, uint16_t port = 8080) {
    rte_mbuf* one = packet(direction);
    const auto length = std::min(kHead, one->data_len);
    uint8_t after[kHead];
    std::memcpy(after, rte_pktmbuf_mtod(one, void*), length);
    if (direction == orig) {
      const Bytes to = from_hex(backend_of(row_.family));
      translate_end(after, *meta_of(one), PacketEnd::Destination, to.data(), rte_cpu_to_be_16(port));
    }
    network.table->settle(Hook::PREROUTING, epoch, stage, one, rte_pktmbuf_mtod(one, uint8_t*), after, length);
    rte_pktmbuf_free(one);
  }

  bool passes(rte_mbuf* packet, uint32_t epoch, uint16_t stages, Hook hook = Hook::PREROUTING) {
    bool passed = false;
    network.table->pass(hook, epoch, stages, &packet, 1, &passed);
    return passed;
  }
  /// The same for a packet whose way has this one hook.
  bool takes_shortcut(rte_mbuf* packet, uint32_t epoch, uint16_t stages) {
    Shortcut shortcut;
    network.table->find_shortcuts({epoch, stages}, &packet, 1, &shortcut);
    return shortcut.found && network.table->take_shortcut(packet, shortcut);
  }
  bool passes(abi::CtDirection direction, uint32_t epoch, uint16_t stages, Hook hook = Hook::PREROUTING) {
    rte_mbuf* one = packet(direction);
    const bool passed = passes(one, epoch, stages, hook);
    rte_pktmbuf_free(one);
    return passed;
  }

  Network network;

 private:
  Bytes bytes(abi::CtDirection direction) const {
    const Endpoints client = ends(row_.family, orig);
    const Endpoints at =
        direction == orig ? client : Endpoints{backend_of(row_.family), client.source, 8080, client.source_port};
    return row_.protocol == kTcp ? tcp(row_.family, at, flags_[static_cast<size_t>(direction)]) : udp(row_.family, at);
  }

  const Row row_;
  uint8_t flags_[2] = {SYN, SYN | ACK};  ///< of TCP, by direction
};

class Settled : public ::testing::TestWithParam<Row> {};

TEST_P(Settled, PacketsGetTheFlowsTranslationAndRightChecksums) {
  const Row& row = GetParam();
  Session session(row);
  session.settle(orig, 7, 1);
  for (const bool shortcut : {false, true}) {
    SCOPED_TRACE(shortcut ? "by the shortcut" : "past the hook");
    rte_mbuf* packet = session.packet(orig);
    ASSERT_TRUE(shortcut ? session.takes_shortcut(packet, 7, 1) : session.passes(packet, 7, 1));
    const uint8_t* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
    const PacketMeta& meta = *meta_of(packet);
    EXPECT_EQ(to_hex(ip + (row.family == 4 ? 16 : 24), row.family == 4 ? 4 : 16), backend_of(row.family));
    EXPECT_EQ(to_hex(ip + meta.l4_offset + 2, 2), "1f90");
    EXPECT_EQ(*checksum_of(packet), right_sum(packet, row.sum));
    if (row.family == 4) {
      EXPECT_EQ(rte_ipv4_cksum(reinterpret_cast<const rte_ipv4_hdr*>(ip)), 0);
    }
    rte_pktmbuf_free(packet);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, Settled,
                         ::testing::Values(Row{"Tcp4", 4, kTcp, Sum::Whole}, Row{"Tcp6", 6, kTcp, Sum::Whole},
                                           Row{"Udp4", 4, kUdp, Sum::Whole}, Row{"Udp6", 6, kUdp, Sum::Whole},
                                           Row{"Udp4WithoutChecksum", 4, kUdp, Sum::None},
                                           Row{"Tcp4Partial", 4, kTcp, Sum::Partial},
                                           Row{"Udp6Partial", 6, kUdp, Sum::Partial}),
                         [](const auto& info) { return info.param.name; });

const Row kUdp4{"", 4, kUdp, Sum::Whole};

TEST(Settling, HoldsForItsEpochHookAndDirectionOnly) {
  Session session(kUdp4);
  EXPECT_FALSE(session.passes(orig, 7, 1));
  session.settle(orig, 7, 1);
  EXPECT_TRUE(session.passes(orig, 7, 1));
  EXPECT_FALSE(session.passes(orig, 8, 1));
  EXPECT_FALSE(session.passes(reply, 7, 1));
  session.settle(orig, 8, 2);
  EXPECT_FALSE(session.passes(orig, 8, 1)) << "what was settled in another epoch is gone";
  EXPECT_TRUE(session.passes(orig, 8, 2));
}

TEST(Settling, NeedsAllStagesOfTheHook) {
  Session session(kUdp4);
  session.settle(orig, 7, 1);
  EXPECT_FALSE(session.passes(orig, 7, 3));
  session.settle(orig, 7, 2);
  EXPECT_TRUE(session.passes(orig, 7, 3));
}

TEST(Settling, DoesNotCountWhenTheStageDidAnythingElse) {
  Session session(kUdp4);
  session.settle(orig, 7, 1, 8081);
  EXPECT_FALSE(session.passes(orig, 7, 1)) << "to another port than the flow's replies come from";

  rte_mbuf* packet = session.packet(orig);
  uint8_t after[kHead];
  const auto length = std::min(kHead, packet->data_len);
  std::memcpy(after, rte_pktmbuf_mtod(packet, void*), length);
  after[8] = 3;  // TTL
  session.network.table->settle(Hook::FORWARD, 7, 1, packet, rte_pktmbuf_mtod(packet, uint8_t*), after, length);
  EXPECT_FALSE(session.passes(packet, 7, 1, Hook::FORWARD));
  rte_pktmbuf_free(packet);
}

TEST(Settling, IsForPacketsOfTheFlowItself) {
  Session session(kUdp4);
  session.settle(orig, 7, 1);
  struct Change {
    const char* what;
    void (*make)(PacketMeta&);
  };
  const Change changes[] = {
      {"a fragment", [](PacketMeta& meta) { meta.flags |= static_cast<uint16_t>(abi::Flag::FRAGMENT); }},
      {"related", [](PacketMeta& meta) { meta.ct_state = static_cast<uint8_t>(abi::CtState::RELATED); }},
      {"wrapped", [](PacketMeta& meta) { meta.reframed = 1; }},
      {"to be confirmed", [](PacketMeta& meta) { meta.confirmed = 0; }},
      {"without a flow", [](PacketMeta& meta) { meta.flow = 0; }},
  };
  for (const Change& change : changes) {
    rte_mbuf* packet = session.packet(orig);
    const std::string before = to_hex(packet);
    change.make(*meta_of(packet));
    EXPECT_FALSE(session.passes(packet, 7, 1)) << change.what;
    EXPECT_FALSE(session.takes_shortcut(packet, 7, 1)) << change.what;
    EXPECT_EQ(to_hex(packet), before) << change.what;
    rte_pktmbuf_free(packet);
  }
}

TEST(Settling, EndsWithTheFlowsReplyTuple) {
  Session session(kUdp4);
  session.settle(orig, 7, 1);
  Shortcut early;
  rte_mbuf* packet = session.packet(orig);
  session.network.table->find_shortcuts({7, 1}, &packet, 1, &early);
  early.way = {3, 0, 5};
  session.network.table->keep_way(packet, early);
  meta_of(packet)->confirmed = 0;
  rewrite_destination(4, "0a000064", 9090)(packet);
  uint16_t count = 1;
  session.network.table->confirm_burst(session.network.context.worker, &packet, count);
  ASSERT_EQ(count, 1);
  rte_pktmbuf_free(packet);
  session.network.rcu.quiescent(0);
  EXPECT_FALSE(session.passes(orig, 7, 1));

  packet = session.packet(orig);
  session.network.table->keep_way(packet, early);
  Shortcut late;
  session.network.table->find_shortcuts({7, 0}, &packet, 1, &late);
  EXPECT_TRUE(late.found);
  EXPECT_EQ(late.way.generation, 0u) << "the next hop was that of the translation before";
  rte_pktmbuf_free(packet);
}

}  // namespace
}  // namespace sluice
