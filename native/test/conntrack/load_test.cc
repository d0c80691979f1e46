// Many flows, long times, several workers.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "conntrack/network.h"
#include "parse/parse.h"

namespace sluice {
namespace {

using namespace testing;
using abi::CtState;

constexpr auto orig = abi::CtDirection::ORIGINAL;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return state_;
  }

 private:
  uint64_t state_;
};

Endpoints client(int family, uint32_t number) {
  Endpoints at = ends(family, orig);
  at.source_port = static_cast<uint16_t>(1 + number % 60000);
  at.destination_port = static_cast<uint16_t>(1 + number / 60000);
  return at;
}

Endpoints back(const Endpoints& at) {
  return {at.destination, at.source, at.destination_port, at.source_port};
}

// A week, a minute a step: short exchanges, connections that close, connections that hang for days.
TEST(Week, OfChurnLosesNoRecord) {
  Network network(Network::with_room_for(2048));
  Random random(7);
  uint32_t number = 0;
  uint64_t dropped = 0;
  for (int minute = 0; minute < 7 * 24 * 60; minute++) {
    std::vector<Bytes> packets;
    for (int i = 0; i < 6; i++) {
      const int family = random.next() % 2 == 0 ? 4 : 6;
      const Endpoints at = client(family, number++ % 3'000'000);
      switch (random.next() % 3) {
        case 0:
          packets.insert(packets.end(), {udp(family, at), udp(family, back(at))});
          break;
        case 1:
          packets.insert(packets.end(), {tcp(family, at, 2), tcp(family, back(at), 18), tcp(family, at, 16)});
          packets.insert(packets.end(), {tcp(family, at, 17), tcp(family, back(at), 17), tcp(family, at, 16)});
          break;
        default:
          packets.push_back(tcp(family, at, 2));
      }
    }
    for (const Bytes& packet : packets) {
      rte_mbuf* sent = network.context.packet(packet);
      ASSERT_TRUE(parse_packet(sent));
      uint16_t count = 1;
      network.table->track_burst(network.context.worker, &sent, count);
      network.table->confirm_burst(network.context.worker, &sent, count);
      network.table->settle_burst(network.context.worker);
      network.rcu.quiescent(0);
      dropped += count == 0;
      if (count == 1) rte_pktmbuf_free(sent);
    }
    network.advance(60);
    network.age();
    ASSERT_LT(network.table->live(), 64u) << "minute " << minute;
  }
  EXPECT_EQ(dropped, 0u);
  network.advance(432000);
  network.age();
  EXPECT_EQ(network.table->live(), 0u);
  const FlowCounters counters = network.table->counters();
  EXPECT_EQ(counters.created, counters.expired);
  EXPECT_EQ(counters.evicted + counters.clashes + counters.abandoned + counters.replaced, 0u);
  for (uint32_t i = 0; i < 2048; i++)
    ASSERT_FALSE(network.send(udp(4, client(4, i))).dropped) << "every number is there";
  EXPECT_EQ(network.context.buffers_in_use(), 0u);
}

/// Which flow a packet is of, so that a stage can see whether the flow slot that it got is that flow's.
uint64_t stamp_of(const rte_mbuf* packet) {
  return uint64_t{*rte_pktmbuf_mtod_offset(packet, const uint32_t*, 20)} << 32 | 0x5a5a5a5a;
}

/// A worker's loop over bursts of one-way packets of shared flows. The stage stamps each new flow's slot and finds no
/// other stamp there, ever: so a number is never reused below a worker.
void work(TestContext& context, FlowTable& table, Rcu& rcu, uint16_t id, std::atomic<bool>& stop,
          std::atomic<uint64_t>& wrong, std::atomic<uint64_t>& tracked) {
  constexpr uint16_t kBurst = 64;
  context.worker.id = id;
  Random random(1 + id);
  const Bytes packet = udp(4, ends(4, orig));
  rte_mbuf* packets[kBurst];
  while (!stop.load(std::memory_order_relaxed)) {
    for (rte_mbuf*& sent : packets) {
      sent = context.packet(packet);
      const auto number = static_cast<uint16_t>(1 + random.next() % 3000);
      memcpy(rte_pktmbuf_mtod_offset(sent, uint8_t*, 20), &number, 2);
      if (!parse_packet(sent)) wrong++;
    }
    context.worker.now_ns += kSecond;  // quick ageing: 30 bursts
    uint16_t count = kBurst;
    table.track_burst(context.worker, packets, count);
    for (uint16_t i = 0; i < count; i++) {
      const PacketMeta& meta = *meta_of(packets[i]);
      if (meta.flow == 0) {
        wrong++;
        continue;
      }
      auto* slot = reinterpret_cast<uint64_t*>(table.slots(meta.flow - 1));
      const uint64_t found = __atomic_load_n(slot, __ATOMIC_RELAXED), own = stamp_of(packets[i]);
      if (found != 0 && found != own) wrong++;
      __atomic_store_n(slot, own, __ATOMIC_RELAXED);
    }
    tracked += count;
    // Every eighth burst is dropped by a stage.
    if (random.next() % 8 != 0) table.confirm_burst(context.worker, packets, count);
    table.settle_burst(context.worker);
    rte_pktmbuf_free_bulk(packets, count);
    rcu.quiescent(id);
  }
  rte_rcu_qsbr_thread_offline(rcu.get(), id);
}

TEST(Workers, ShareFlowsWhileTheyAgeAndAreEvicted) {
  constexpr uint16_t kWorkers = 2;
  TestContext contexts[kWorkers];
  Rcu rcu(kWorkers);
  FlowTableConfig config = Network::with_room_for(1024);  // fewer than the 3000 that are wanted
  config.workers = kWorkers;
  auto opened = FlowTable::open(config, rcu.get(), contexts[0].worker.now_ns);
  ASSERT_TRUE(opened);
  FlowTable& table = *opened.value();

  std::atomic<bool> stop{false};
  std::atomic<uint64_t> wrong{0}, tracked{0};
  std::vector<std::thread> workers;
  for (uint16_t id = 0; id < kWorkers; id++) {
    workers.emplace_back([&, id] { work(contexts[id], table, rcu, id, stop, wrong, tracked); });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  uint64_t seen = 0;
  while (std::chrono::steady_clock::now() < end) {
    table.age(contexts[0].worker.now_ns, 512);
    table.for_each([&](const FlowView& view) { seen += view.original.protocol == kUdp; });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();

  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(tracked, 10000u);
  EXPECT_GT(seen, 0u);
  const FlowCounters counters = table.counters();
  EXPECT_GT(counters.evicted, 0u);
  EXPECT_EQ(counters.created,
            counters.expired + counters.evicted + counters.abandoned + counters.clashes + table.live());
  EXPECT_LE(table.live(), 1024u);
}

}  // namespace
}  // namespace sluice
