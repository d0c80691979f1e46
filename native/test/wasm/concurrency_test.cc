// Swaps while a packet thread runs bursts: nothing is lost, and no burst sees two versions.
#include <gtest/gtest.h>
#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <atomic>
#include <thread>

#include "core/clock.h"
#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

constexpr uint16_t kBurst = 32;

/// Marks packets with the number that it was configured with (4 bytes of text), read anew from the segment for each.
StageText marking(const std::string& version) {
  const std::string base = "(i32.load " + i32(abi::kWindowBase + abi::kBurstSegmentBase) + ")";
  StageText stage{for_each_slot(store32(abi::kSlotMark, "(i32.load " + base + ")"))};
  stage.manifest = {{"segmentBytes", 65536}, {"version", version}, {"counters", {"seen"}}};
  stage.process +=
      "(i64.store (i32.const 17825792) (i64.add (i64.load (i32.const 17825792)) (i64.extend_i32_u (local.get "
      "$count))))";
  stage.extra = "(func (export \"configure\") (result i32) (i32.store " + base +
                " (i32.load (i32.const 33554432))) (i32.const 0))";
  return stage;
}

/// A packet thread that runs bursts through whatever pipeline is published, like a worker.
class PacketThread {
 public:
  explicit PacketThread(Node& node) : node_(node) {
    rcu_ = static_cast<rte_rcu_qsbr*>(rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE));
    rte_rcu_qsbr_init(rcu_, 1);
  }
  ~PacketThread() {
    stop();
    rte_free(rcu_);
  }

  void start() {
    for (uint16_t i = 0; i < kBurst; i++) packets_.push_back(node_.udp(i));
    thread_ = std::thread([this] { loop(); });
  }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    if (!packets_.empty()) rte_pktmbuf_free_bulk(packets_.data(), kBurst);
    packets_.clear();
  }
  /// As the control thread does it: one pointer, then quiescence; the old pipeline is gone afterwards.
  void publish(std::shared_ptr<Pipeline> next) {
    published_.store(next.get(), std::memory_order_release);
    synchronize();
    node_.publish(std::move(next));
  }
  void synchronize() {
    if (thread_.joinable()) rte_rcu_qsbr_synchronize(rcu_, RTE_QSBR_THRID_INVALID);
  }
  void wait_for_bursts(uint64_t count) const {
    const uint64_t target = bursts + count;
    while (bursts < target) std::this_thread::yield();
  }

  std::atomic<uint64_t> bursts{0}, lost{0}, mixed{0};
  std::atomic<uint32_t> mark{0};

 private:
  void loop() {
    rte_rcu_qsbr_thread_register(rcu_, 0);
    rte_rcu_qsbr_thread_online(rcu_, 0);
    WorkerContext& ctx = node_.context.worker;
    while (!stopping_) {
      ctx.now_ns = read_clock(CLOCK_MONOTONIC);
      uint16_t count = kBurst;
      published_.load(std::memory_order_acquire)->run(ctx, abi::Hook::FORWARD, packets_.data(), count, output_);
      check(count);
      rte_rcu_qsbr_quiescent(rcu_, 0);
    }
    rte_rcu_qsbr_thread_offline(rcu_, 0);
    rte_rcu_qsbr_thread_unregister(rcu_, 0);
  }

  void check(uint16_t count) {
    bursts++;
    if (count != kBurst) lost++;
    for (uint16_t i = 0; i < count; i++) {
      if (meta_of(packets_[i])->mark != meta_of(packets_[0])->mark || packets_[i]->pkt_len != 28u + i) mixed++;
    }
    mark = meta_of(packets_[0])->mark;
  }

  Node& node_;
  rte_rcu_qsbr* rcu_;
  std::vector<rte_mbuf*> packets_;
  ChainOutput output_;
  std::atomic<Pipeline*> published_{nullptr};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::string number(uint32_t value) {
  return std::string(reinterpret_cast<const char*>(&value), 4);
}

TEST(Concurrency, VersionsAndConfigurationsAreSwappedUnderLoadWithoutLoss) {
  Node node;
  PacketThread thread(node);
  const std::string digests[] = {node.add(marking("1.0.0")), node.add(marking("2.0.0"))};
  thread.publish(node.prepare({Node::plugin("test", digests[0], number(1))}).value());
  thread.start();
  constexpr uint32_t kSwaps = 60;
  for (uint32_t swap = 2; swap < kSwaps; swap++) {
    // Every third one is another version, the others only another configuration.
    auto prepared = node.prepare({Node::plugin("test", digests[swap / 3 % 2], number(swap))});
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    thread.publish(std::move(prepared.value()));
    thread.wait_for_bursts(2);
    EXPECT_EQ(thread.mark, swap);
  }
  thread.stop();
  EXPECT_EQ(thread.lost, 0u);
  EXPECT_EQ(thread.mixed, 0u);
  const PluginStatus status = node.status("test");
  EXPECT_EQ(status.totals.packets, thread.bursts * kBurst);
  EXPECT_EQ(node.counter("test", "seen"), thread.bursts * kBurst) << "over all versions";
  EXPECT_EQ(status.totals.failures, 0u);
}

TEST(Concurrency, AShadowRunPassesUnderLoadAndItsVersionTakesOver) {
  Node node;
  PacketThread thread(node);
  node.on_synchronize = [&] { thread.synchronize(); };
  const std::string one = node.add(marking("1.0.0")), two = node.add(marking("2.0.0"));
  thread.publish(node.prepare({Node::plugin("test", one, number(7))}).value());
  thread.start();
  auto next = node.prepare({Node::plugin("test", two, number(7))}, abi::Hook::FORWARD, true);
  ASSERT_TRUE(next.ok());
  ASSERT_TRUE(node.host->start_shadow(next.value(), {20000, 0, 5000}).ok());
  ShadowReport report;
  for (int i = 0; i < 500 && report.state == ShadowReport::State::Running; i++) {
    usleep(10'000);
    report = node.host->shadow_report().value();
  }
  EXPECT_EQ(report.state, ShadowReport::State::Passed) << report.plugins.at(0).first_difference;
  EXPECT_GE(report.plugins.at(0).packets, 20000u);
  thread.publish(std::move(next.value()));
  thread.wait_for_bursts(2);
  thread.stop();
  EXPECT_EQ(thread.lost, 0u);
  EXPECT_EQ(thread.mixed, 0u);
  EXPECT_EQ(node.status("test").version, "2.0.0");
  EXPECT_EQ(node.counter("test", "seen"), thread.bursts * kBurst);
}

}  // namespace
}  // namespace sluice
