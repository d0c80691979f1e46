#include "port/inject_port.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "core/packet.h"
#include "fixtures.h"

namespace sluice::testing {
namespace {

std::unique_ptr<Port> open_inject(const std::string& devargs = "") {
  PortConfig config;
  config.name = "injected";
  config.kind = PortKind::Inject;
  config.devargs = devargs;
  return open(config, 9);
}

std::vector<uint8_t> bytes_of(size_t length) {
  std::vector<uint8_t> bytes(length);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  return bytes;
}

TEST(InjectPort, CarriesFramesOfAnySizeBothWays) {
  auto port = open_inject();
  InjectPort* inject = InjectPort::of(port.get());
  ASSERT_NE(inject, nullptr);
  for (const size_t length : {14u, 60u, 1514u, 2048u, 2049u, 9014u, 65549u}) {
    SCOPED_TRACE(length);
    const uint16_t flags = length > 9000 ? 0x18 : 0;
    ASSERT_TRUE(inject->inject({bytes_of(length), flags, 1448}));
    rte_mbuf* frames[4];
    ASSERT_EQ(port->receive(0, frames, 4), 1);
    PacketMeta expected;
    memset(static_cast<void*>(&expected), 0, sizeof expected);
    expected.in_port = 9;
    expected.flags = flags;
    expected.gso_size = 1448;
    EXPECT_EQ(memcmp(meta_of(frames[0]), &expected, sizeof expected), 0);
    EXPECT_EQ(frames[0]->pkt_len, length);
    ASSERT_EQ(port->transmit(0, frames, 1), 1);
    const auto collected = inject->collect();
    ASSERT_EQ(collected.size(), 1u);
    EXPECT_EQ(collected[0].bytes, bytes_of(length));
    EXPECT_EQ(collected[0].flags, flags);
  }
  EXPECT_EQ(port->counters().rx_packets, 7u);
  EXPECT_EQ(port->counters().tx_packets, 7u);
}

TEST(InjectPort, KeepsTheOrderAndStopsWhenFull) {
  auto port = open_inject();
  InjectPort* inject = InjectPort::of(port.get());
  size_t injected = 0;
  while (inject->inject({{static_cast<uint8_t>(injected), static_cast<uint8_t>(injected >> 8)}})) injected++;
  EXPECT_EQ(injected, 4095u) << "the ring's length less one";
  rte_mbuf* frames[64];
  size_t seen = 0;
  while (const uint16_t count = port->receive(0, frames, 64)) {
    ASSERT_EQ(port->transmit(0, frames, count), count);
    for (const InjectedFrame& frame : inject->collect()) {
      EXPECT_EQ(frame.bytes[0] | frame.bytes[1] << 8, static_cast<int>(seen++));
    }
  }
  EXPECT_EQ(seen, injected);
}

TEST(InjectPort, TakesOffloadsWhenAskedTo) {
  EXPECT_FALSE(open_inject()->offloads());
  EXPECT_TRUE(open_inject("offload")->offloads());
}

TEST(InjectPort, GivesItsBuffersBack) {
  const unsigned before = rte_mempool_in_use_count(pools().packets);
  {
    auto port = open_inject();
    for (int i = 0; i < 10; i++) ASSERT_TRUE(InjectPort::of(port.get())->inject({bytes_of(100)}));
  }
  EXPECT_EQ(rte_mempool_in_use_count(pools().packets), before);
}

}  // namespace
}  // namespace sluice::testing
