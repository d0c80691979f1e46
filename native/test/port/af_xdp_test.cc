#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "core/packet.h"
#include "fixtures.h"

/// Of the address sanitizer build: DPDK 22.11's driver does not free its umem's record.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:xsk_umem__create";
}

namespace sluice::testing {
namespace {

/// AF_XDP by DPDK's driver, which wants the interface in the calling thread's network namespace.
class AfXdp : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(InterfaceOf, AfXdp, ::testing::Values(false, true),
                         [](const auto& row) { return row.param ? "AnotherNamespace" : "TheOwnNamespace"; });

TEST_P(AfXdp, ReceivesAndSendsOverAVeth) {
  Namespace node("xdpn"), host("xdph");
  const std::string setup = "set -e; ip -n " + node.name() + " link add up0 type veth peer name eth0 netns " +
                            host.name() + "; ip -n " + host.name() + " link set eth0 up; ip -n " + host.name() +
                            " addr add 10.9.0.3/24 dev eth0";
  ASSERT_EQ(run(setup).status, 0);
  PortConfig config;
  config.name = "uplink";
  config.kind = PortKind::AfXdp;
  config.device = "up0";
  std::optional<Inside> inside;
  if (GetParam()) {
    config.netns = node.path();
  } else {
    inside.emplace(node);
  }
  auto port = open(config);
  ASSERT_TRUE(port);
  Background ping("ip netns exec " + host.name() + " ping -i 0.1 -w 5 10.9.0.2");  // asks by ARP first
  rte_mbuf* frame = nullptr;
  for (int i = 0; i < 3000 && frame == nullptr; i++) {
    if (port->receive(0, &frame, 1) == 1) {
      const auto* ether = rte_pktmbuf_mtod(frame, rte_ether_hdr*);
      if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) break;
      rte_pktmbuf_free(frame);
      frame = nullptr;
    }
    usleep(1000);
  }
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(port->transmit(0, &frame, 1), 1);
  EXPECT_EQ(port->counters().tx_packets, 1u);
  EXPECT_NE(node.run("ip link show up0").output.find("prog/xdp"), std::string::npos);
  port.reset();
  EXPECT_EQ(node.run("ip link show up0").output.find("prog/xdp"), std::string::npos)
      << "the program is off the interface";
}

}  // namespace
}  // namespace sluice::testing
