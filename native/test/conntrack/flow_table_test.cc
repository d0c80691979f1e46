#include "conntrack/flow_table.h"

#include <gtest/gtest.h>

#include <map>

#include "conntrack/network.h"

namespace sluice {
namespace {

using namespace testing;
using abi::CtState;

constexpr auto orig = abi::CtDirection::ORIGINAL, reply = abi::CtDirection::REPLY;
constexpr uint8_t FIN = 1, SYN = 2, RST = 4, ACK = 16;

/// The n-th client of a server, by port.
Endpoints client(int family, uint32_t number) {
  Endpoints at = ends(family, orig);
  at.source_port = static_cast<uint16_t>(10000 + number % 50000);
  at.destination_port = static_cast<uint16_t>(1 + number / 50000);
  return at;
}

Endpoints back(const Endpoints& at) {
  return {at.destination, at.source, at.destination_port, at.source_port};
}

FlowTableConfig small() {
  return Network::with_room_for(64);
}

TEST(Track, PacketsOfANewFlowInOneBurstMeet) {
  for (const int family : {4, 6}) {
    Network network;
    const Bytes packet = udp(family, ends(family, orig));
    const auto seen = network.burst({packet, packet, packet});
    EXPECT_EQ(seen[0].state, CtState::NEW);
    EXPECT_EQ(seen[2].state, CtState::NEW);
    EXPECT_EQ(seen[0].flow, seen[1].flow);
    EXPECT_EQ(seen[0].flow, seen[2].flow);
    EXPECT_EQ(network.table->counters().created, 1u);
  }
}

TEST(Track, AFullBurstOfBothFamiliesKeepsItsOrder) {
  Network network;
  std::vector<Bytes> packets;
  for (uint32_t i = 0; i < kMaxBurst; i++) packets.push_back(udp(i % 3 == 0 ? 6 : 4, client(i % 3 == 0 ? 6 : 4, i)));
  const auto first = network.burst(packets), second = network.burst(packets);
  for (size_t i = 0; i < packets.size(); i++) {
    EXPECT_EQ(first[i].state, CtState::NEW);
    EXPECT_EQ(first[i].flow, second[i].flow) << i;
  }
  EXPECT_EQ(network.table->live(), kMaxBurst);
}

TEST(Track, AConnectionWithinOneBurstIsFollowedInOrder) {
  Network network;
  const Endpoints at = ends(4, orig);
  const auto seen = network.burst({tcp(4, at, SYN), tcp(4, at, RST, 1), tcp(4, at, SYN)});
  EXPECT_EQ(seen[0].state, CtState::NEW);
  EXPECT_EQ(seen[2].state, CtState::NEW);
  EXPECT_NE(seen[0].flow, seen[2].flow) << "a connection after the reset is a new flow";
  EXPECT_EQ(seen[2].flow_state, FlowState::TcpSynSent);
  EXPECT_EQ(network.table->live(), 1u);
  EXPECT_EQ(network.table->counters().replaced, 1u);
}

TEST(Track, ZonesAreApartOnlyWhenAsked) {
  for (const bool apart : {false, true}) {
    FlowTableConfig config = small();
    config.zone_by_table = apart;
    Network network(config);
    network.send(udp(4, ends(4, orig)));
    const uint32_t before = network.table->live();
    // The same tuple in routing table 5.
    rte_mbuf* packet = network.context.packet(udp(4, ends(4, orig)));
    PacketMeta& meta = *meta_of(packet);
    meta.family = 4, meta.protocol = kUdp, meta.l4_offset = 20, meta.table = 5;
    uint16_t count = 1;
    network.table->track_burst(network.context.worker, &packet, count);
    network.table->confirm_burst(network.context.worker, &packet, count);
    network.table->settle_burst(network.context.worker);
    EXPECT_EQ(network.table->live(), before + (apart ? 1 : 0));
    rte_pktmbuf_free(packet);
  }
}

TEST(Settle, AFlowWhoseFirstPacketIsDroppedIsGone) {
  Network network;
  EXPECT_EQ(network.send_dropped(udp(4, ends(4, orig))).state, CtState::NEW);
  EXPECT_EQ(network.table->live(), 0u);
  EXPECT_EQ(network.table->counters().abandoned, 1u);
  EXPECT_EQ(network.send(udp(4, ends(4, reply))).direction, orig) << "the other end begins a flow of its own";
}

TEST(Settle, DroppingLaterPacketsKeepsAFlow) {
  Network network;
  const Seen first = network.send(udp(4, ends(4, orig)));
  network.send_dropped(udp(4, ends(4, orig)));
  EXPECT_EQ(network.send(udp(4, ends(4, reply))).flow, first.flow);
}

struct AgeRow {
  const char* timeout;
  std::vector<Bytes> packets;
};

std::vector<AgeRow> age_rows(int family) {
  const Endpoints to = ends(family, orig), from = ends(family, reply);
  const std::vector<Bytes> open = {tcp(family, to, SYN), tcp(family, from, SYN | ACK), tcp(family, to, ACK)};
  const auto and_then = [&](std::vector<Bytes> more) {
    more.insert(more.begin(), open.begin(), open.end());
    return more;
  };
  const Bytes fin = tcp(family, to, FIN | ACK), fin_back = tcp(family, from, FIN | ACK),
              ack_back = tcp(family, from, ACK);
  const std::vector<Bytes> associate = {sctp(family, to, 1), sctp(family, from, 2), sctp(family, to, 10),
                                        sctp(family, from, 11)};
  return {
      {"tcp_syn_sent", {open[0]}},
      {"tcp_syn_recv", {open[0], open[1]}},
      {"tcp_established", open},
      {"tcp_fin_wait", and_then({fin})},
      {"tcp_close_wait", and_then({fin, ack_back})},
      {"tcp_last_ack", and_then({fin, ack_back, fin_back})},
      {"tcp_time_wait", and_then({fin, ack_back, fin_back, tcp(family, to, ACK)})},
      {"tcp_close", and_then({tcp(family, to, RST, 1)})},
      {"tcp_syn_sent2", {open[0], tcp(family, from, SYN)}},
      {"tcp_unacknowledged", {tcp(family, to, ACK)}},
      {"udp", {udp(family, to)}},
      {"udp_stream", {udp(family, to), udp(family, from), udp(family, to)}},
      {family == 4 ? "icmp" : "icmpv6", {echo(family, to, false, 1)}},
      {"sctp_cookie_wait", {associate[0]}},
      {"sctp_cookie_echoed", {associate[0], associate[1], associate[2]}},
      {"sctp_established", associate},
      {"sctp_shutdown_sent", {associate[0], associate[1], associate[2], associate[3], sctp(family, to, 7)}},
      {"sctp_shutdown_recd", {associate[0], associate[1], associate[2], associate[3], sctp(family, from, 7)}},
      {"sctp_closed", {associate[0], associate[1], associate[2], associate[3], sctp(family, to, 6)}},
      {"sctp_heartbeat_sent", {sctp(family, to, 4)}},
  };
}

uint32_t default_of(const std::string& name) {
  for (const TimeoutDefault& row : kTimeoutDefaults) {
    if (name == row.name) return row.seconds;
  }
  ADD_FAILURE() << name;
  return 0;
}

TEST(Age, EachStateLivesItsTimeoutAndNoLonger) {
  for (const int family : {4, 6}) {
    for (const AgeRow& row : age_rows(family)) {
      SCOPED_TRACE(row.timeout);
      Network network;
      for (const Bytes& packet : row.packets) network.send(packet);
      ASSERT_EQ(network.table->live(), 1u);
      network.advance(default_of(row.timeout) - 1);
      EXPECT_EQ(network.age(), 0u);
      network.advance(1);
      EXPECT_EQ(network.age(), 1u);
      EXPECT_EQ(network.table->live(), 0u);
      EXPECT_EQ(network.table->counters().expired, 1u);
    }
  }
}

TEST(Age, TrafficInEitherDirectionKeepsAFlow) {
  Network network;
  const Seen first = network.send(udp(4, ends(4, orig)));
  for (int i = 0; i < 10; i++) {
    network.advance(29);
    EXPECT_EQ(network.age(), 0u);
    EXPECT_EQ(network.send(udp(4, ends(4, i % 2 == 0 ? reply : orig))).flow, first.flow);
  }
}

TEST(Age, TimeoutsCanBeChangedWhileFlowsLive) {
  Network network;
  network.send(udp(4, ends(4, orig)));
  const auto timeouts = make_timeouts({{"udp", 5}});
  ASSERT_TRUE(timeouts);
  network.table->set_timeouts(timeouts.value());
  network.advance(5);
  EXPECT_EQ(network.age(), 1u);
}

TEST(Age, SweepsInSteps) {
  Network network;
  for (uint32_t i = 0; i < 100; i++) network.send(udp(4, client(4, i)));
  network.advance(60);
  size_t steps = 0;
  for (size_t removed = 0; removed < 100 && steps < 100; steps++)
    removed += network.table->age(network.context.worker.now_ns, 10);
  EXPECT_EQ(steps, 10u);
}

TEST(Age, ANumberIsNotReusedWhileAWorkerMayHoldIt) {
  FlowTableConfig config = small();
  Network network(config);
  const Seen first = network.send(udp(4, client(4, 0)));
  // The worker is within a burst from here on: it holds the flow's number and is not quiescent.
  network.advance(60);
  EXPECT_EQ(network.age(), 1u);
  EXPECT_EQ(network.age(), 0u);
  rte_mbuf* packet = network.context.packet(udp(4, client(4, 1)));
  PacketMeta& meta = *meta_of(packet);
  meta.family = 4, meta.protocol = kUdp, meta.l4_offset = 20;
  uint16_t count = 1;
  network.table->track_burst(network.context.worker, &packet, count);
  EXPECT_NE(meta.flow, first.flow);
  rte_pktmbuf_free(packet);
  network.table->settle_burst(network.context.worker);
  network.rcu.quiescent(0);
  network.age();
  std::map<uint32_t, int> numbers;
  for (uint32_t i = 2; i < 40; i++) numbers[network.send(udp(4, client(4, i))).flow]++;
  EXPECT_EQ(numbers.count(first.flow), 1u) << "it is reused then";
}

TEST(Full, EvictsUnansweredAndClosingFlowsButNoLiveOnes) {
  for (const int family : {4, 6}) {
    Network network(small());
    for (uint32_t i = 0; i < 60; i++) {
      network.send(udp(family, client(family, i)));
      network.send(udp(family, back(client(family, i))));
    }
    for (uint32_t i = 60; i < 64; i++) network.send(udp(family, client(family, i)));
    EXPECT_EQ(network.table->live(), 64u);

    for (uint32_t i = 100; i < 104; i++) {
      EXPECT_EQ(network.send(udp(family, client(family, i))).state, CtState::NEW);
      network.send(udp(family, back(client(family, i))));
    }
    EXPECT_EQ(network.table->counters().evicted, 4u);
    EXPECT_EQ(network.table->live(), 64u);
    for (uint32_t i = 0; i < 60; i++) {
      EXPECT_EQ(network.send(udp(family, client(family, i))).state, CtState::ESTABLISHED) << "client " << i;
    }
    EXPECT_TRUE(network.send(udp(family, client(family, 200))).dropped);
    EXPECT_EQ(network.context.drops(abi::DropReason::FlowTableFull), 1u);
    EXPECT_EQ(network.table->counters().full_drops, 1u);
  }
}

TEST(Full, ClosedConnectionsGoBeforeUnansweredOnes) {
  Network network(small());
  for (uint32_t i = 0; i < 20; i++) network.send(udp(4, client(4, i)));
  const Endpoints closed = client(4, 30);
  network.send(tcp(4, closed, SYN));
  network.send(tcp(4, back(closed), RST | ACK, 1));
  for (uint32_t i = 40; network.table->live() < 64; i++) network.send(udp(4, client(4, i)));
  network.send(udp(4, client(4, 999)));
  bool still = false;
  network.table->for_each([&](const FlowView& view) { still |= view.state == FlowState::TcpClose; });
  EXPECT_FALSE(still);
}

TEST(Full, AFloodKeepsTheTableUsable) {
  Network network(small());
  const Endpoints known = client(4, 0);
  network.send(udp(4, known));
  network.send(udp(4, back(known)));
  std::vector<Bytes> flood;
  uint32_t dropped = 0;
  for (uint32_t i = 1; i <= 20000; i++) {
    flood.push_back(tcp(4, client(4, i), SYN));
    if (flood.size() < kMaxBurst) continue;
    for (const Seen& seen : network.burst(flood)) dropped += seen.dropped;
    flood.clear();
    network.age();
  }
  EXPECT_LE(network.table->live(), 64u);
  EXPECT_EQ(network.send(udp(4, known)).state, CtState::ESTABLISHED);
  EXPECT_EQ(network.table->counters().full_drops, dropped);
}

}  // namespace
}  // namespace sluice
