#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "fixtures.h"

namespace sluice::testing {
namespace {

PortConfig pod(const Namespace& space, const std::string& v4, const std::string& v6) {
  PortConfig config;
  config.name = space.name();
  config.kind = PortKind::Tap;
  config.device = "eth0";
  config.netns = space.path();
  config.addresses = {prefix("169.254.1.1/32"), prefix("fe80::1/128")};
  config.peer_addresses = {prefix(v4), prefix(v6)};
  config.peer_default_route = true;
  return config;
}

/// Two pods, each behind a TAP, and a wire between the TAPs.
class TwoPods : public ::testing::Test {
 protected:
  Namespace left_space_{"tapl"}, right_space_{"tapr"};
  std::unique_ptr<Port> left_ = open(pod(left_space_, "10.9.0.2/32", "fd09::2/128"), 1);
  std::unique_ptr<Port> right_ = open(pod(right_space_, "10.9.0.3/32", "fd09::3/128"), 2);
};

TEST_F(TwoPods, PingEachOtherAtOnce) {
  Wire wire(*left_, *right_);
  for (const char* address : {"10.9.0.3", "fd09::3"}) {
    const Outcome ping = left_space_.run(std::string("ping -c 3 -i 0.05 -W 1 -s 1400 ") + address);
    EXPECT_EQ(ping.status, 0) << ping.output;
    EXPECT_NE(ping.output.find(" 0% packet loss"), std::string::npos) << ping.output;
  }
  EXPECT_GE(left_->counters().rx_packets, 6u);
  EXPECT_GE(right_->counters().tx_packets, 6u);
  EXPECT_EQ(right_->counters().tx_errors, 0u);
}

TEST_F(TwoPods, TcpSuperFramesCrossWhole) {
  Wire wire(*left_, *right_);
  Background server("ip netns exec " + right_space_.name() + " iperf3 -s");
  for (const char* target : {"10.9.0.3", "fd09::3"}) {
    Outcome client;
    for (int attempt = 0; attempt < 50; attempt++) {
      client = left_space_.run(std::string("iperf3 -t 2 -f g -c ") + target);
      if (client.status == 0) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    ASSERT_EQ(client.status, 0) << client.output;
    const size_t line = client.output.rfind("\n", client.output.find("receiver"));
    std::printf("[ iperf3   ] %s %s\n", target, client.output.substr(line + 1, 70).c_str());
  }
  const PortCounters counters = left_->counters();
  EXPECT_GT(counters.rx_bytes / counters.rx_packets, 8000u) << "the kernel did not hand over super-frames";
  EXPECT_EQ(right_->counters().tx_errors, 0u);
}

}  // namespace
}  // namespace sluice::testing
