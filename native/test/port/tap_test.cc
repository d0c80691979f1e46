#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "core/packet.h"
#include "fixtures.h"
#include "port/netns.h"

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

bool send(Port& port) {
  rte_mbuf* frame = rte_pktmbuf_alloc(pools().packets);
  memset(static_cast<void*>(meta_of(frame)), 0, sizeof(PacketMeta));
  memset(rte_pktmbuf_append(frame, 60), 0xff, 60);
  if (port.transmit(0, &frame, 1) == 1) return true;
  rte_pktmbuf_free(frame);
  return false;
}

class OnePod : public ::testing::Test {
 protected:
  PortConfig config() const { return pod(space_, "10.9.0.2/32", "fd09::2/128"); }
  std::string show(const std::string& what) const { return space_.run("ip " + what).output; }
  bool exists() const { return show("link show").find("eth0") != std::string::npos; }

  Namespace space_{"tap"};
};

TEST_F(OnePod, KnowsItsNamespaceByWhereThePathLeads) {
  const auto first = netns_id(space_.path());
  ASSERT_TRUE(first);
  EXPECT_NE(first, netns_id(""));
  EXPECT_EQ(netns_id("/run/netns/no-such-one"), std::nullopt);
  EXPECT_EQ(netns_id("/etc/passwd"), std::nullopt) << "a file, but no namespace's";
}

TEST_F(OnePod, GetsItsInterfaceFullySetUp) {
  PortConfig wanted = config();
  wanted.mtu = 1400;
  wanted.mac = mac("02:00:00:00:00:0a");
  wanted.peer_mac = mac("02:00:00:00:00:0b");
  auto port = open(wanted);
  ASSERT_TRUE(port);
  EXPECT_TRUE(rte_is_same_ether_addr(&port->mac, &*wanted.mac));
  EXPECT_TRUE(rte_is_same_ether_addr(&port->peer_mac, &*wanted.peer_mac));
  EXPECT_EQ(port->mtu, 1400);
  struct Row {
    const char *command, *text;
  };
  const Row rows[] = {
      {"link show eth0", "mtu 1400"},
      {"link show eth0", "02:00:00:00:00:0b"},
      {"link show eth0", ",UP,LOWER_UP"},
      {"link show eth0", "qlen 4096"},
      {"addr show eth0", "inet 10.9.0.2/32 "},
      {"-6 addr show eth0", "inet6 fd09::2/128 "},
      {"route", "default via 169.254.1.1 dev eth0 "},
      {"-6 route", "default via fe80::1 dev eth0 "},
      {"neigh", "169.254.1.1 dev eth0 lladdr 02:00:00:00:00:0a PERMANENT"},
      {"-6 neigh", "fe80::1 dev eth0 lladdr 02:00:00:00:00:0a"},
  };
  for (const Row& row : rows) EXPECT_NE(show(row.command).find(row.text), std::string::npos) << show(row.command);
  EXPECT_EQ(show("-6 addr show eth0").find("tentative"), std::string::npos) << "usable at once";
  EXPECT_EQ(space_.run("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").output, "0\n");
}

TEST_F(OnePod, InterfaceStaysForTheNextDataplaneWhenKept) {
  auto port = open(config());
  ASSERT_TRUE(port);
  port->close(true);
  port.reset();
  EXPECT_TRUE(exists());
  EXPECT_NE(show("addr show eth0").find("10.9.0.2/32"), std::string::npos);
  PortConfig changed = config();
  changed.peer_addresses[0] = prefix("10.9.0.22/32");
  port = open(changed);
  ASSERT_TRUE(port);
  EXPECT_EQ(show("addr show eth0").find("10.9.0.2/32"), std::string::npos) << "an address it no longer has";
  EXPECT_NE(show("addr show eth0").find("10.9.0.22/32"), std::string::npos);
  EXPECT_TRUE(send(*port));
  port.reset();
  EXPECT_TRUE(exists()) << "it was there before, and nobody said to remove it";
}

TEST_F(OnePod, InterfaceIsRemovedOtherwise) {
  auto port = open(config());
  ASSERT_TRUE(port);
  EXPECT_TRUE(exists());
  port.reset();
  EXPECT_FALSE(exists()) << "made by this port, which was never closed";
  port = open(config());
  port->close(true);
  port = open(config());
  port->close(false);
  EXPECT_FALSE(exists()) << "taken over and closed for good";
}

TEST_F(OnePod, NameInUseIsRefused) {
  auto port = open(config());
  ASSERT_TRUE(port);
  auto second = open_port(config(), 2, pools(), 1);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "port-busy");
  EXPECT_TRUE(send(*port)) << "the first is untouched";
}

TEST_F(OnePod, FailedOpenLeavesNoInterface) {
  PortConfig broken = config();
  broken.mtu = 20;  // less than IPv4 or IPv6 need
  auto port = open_port(broken, 1, pools(), 1);
  ASSERT_FALSE(port.ok());
  EXPECT_FALSE(exists()) << port.error().message;
}

TEST_F(OnePod, IsDownWhileTheInterfaceIs) {
  auto port = open(config());
  ASSERT_TRUE(port);
  space_.run("ip link set eth0 down");
  EXPECT_FALSE(send(*port));
  EXPECT_FALSE(port->up());
  EXPECT_GT(port->counters().tx_errors, 0u);
  space_.run("ip link set eth0 up");
  EXPECT_TRUE(send(*port));
  EXPECT_TRUE(port->up());
}

TEST_F(OnePod, DeletedInterfaceUnderTrafficEndsQuietly) {
  auto port = open(config());
  ASSERT_TRUE(port);
  std::atomic<bool> stop{false};
  std::atomic<int> polls{0};
  std::thread worker([&] {
    while (!stop) {
      rte_mbuf* frames[32];
      const uint16_t count = port->receive(0, frames, 32);
      rte_pktmbuf_free_bulk(frames, count);
      send(*port);
      polls++;
    }
  });
  Background flood("ip netns exec " + space_.name() + " ping -f -w 5 169.254.1.1");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_TRUE(port->up());
  EXPECT_EQ(space_.run("ip link del eth0").status, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(port->up());
  EXPECT_EQ(port->wait_descriptor(0), -1) << "a waiting worker would wake at once, for ever";
  const auto errors = [&] { return port->counters().tx_errors + port->counters().rx_errors; };
  const uint64_t at_deletion = errors();
  const int polled = polls;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stop = true;
  worker.join();
  EXPECT_GT(at_deletion, 0u);
  EXPECT_GT(polls, polled);
  EXPECT_EQ(errors(), at_deletion) << "the loss is noted, not every attempt after it";
  rte_mbuf* frame;
  EXPECT_EQ(port->receive(0, &frame, 1), 0);
}

TEST_F(OnePod, LetGoUnderTrafficTheInterfaceStaysForTheNextPort) {
  auto port = open(config());
  ASSERT_TRUE(port);
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    while (!stop) {
      rte_mbuf* frames[32];
      rte_pktmbuf_free_bulk(frames, port->receive(0, frames, 32));
      send(*port);
    }
  });
  pollfd waiting{port->wait_descriptor(0), POLLIN, 0};
  Background flood("ip netns exec " + space_.name() + " ping -f -w 5 169.254.1.1");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  port->let_go();
  stop = true;
  worker.join();
  EXPECT_TRUE(port->gone());
  EXPECT_FALSE(port->up());
  EXPECT_EQ(poll(&waiting, 1, 50), 0) << "a worker that still waits for it sleeps on";
  EXPECT_TRUE(exists());
  auto next = open(config(), 2);
  ASSERT_TRUE(next) << "nobody holds it any more";
  port->close(false);
  EXPECT_TRUE(send(*next));
}

TEST_F(OnePod, DescriptorWakesAnIdleWorker) {
  auto port = open(config());
  ASSERT_TRUE(port);
  rte_mbuf* frames[64];
  for (int i = 0; i < 100; i++) {  // what the kernel says when an interface comes up
    rte_pktmbuf_free_bulk(frames, port->receive(0, frames, 64));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  pollfd waiting{port->wait_descriptor(0), POLLIN, 0};
  std::thread ping([this] { space_.run("ping -c 1 -W 1 169.254.1.1"); });
  EXPECT_EQ(poll(&waiting, 1, 2000), 1);
  EXPECT_GT(port->receive(0, frames, 1), 0);
  rte_pktmbuf_free(frames[0]);
  ping.join();
}

TEST_F(OnePod, FrameThatClaimsFalseOffloadsIsCountedAndSkipped) {
  auto port = open(config());
  ASSERT_TRUE(port);
  rte_mbuf* frame = rte_pktmbuf_alloc(pools().packets);
  memset(static_cast<void*>(meta_of(frame)), 0, sizeof(PacketMeta));
  memset(rte_pktmbuf_append(frame, 60), 0, 60);
  meta_of(frame)->flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  meta_of(frame)->l2_length = 14;
  meta_of(frame)->l4_offset = 45;  // its checksum field lies beyond the frame's end
  EXPECT_EQ(port->transmit(0, &frame, 1), 1) << "taken, so that it does not block those behind it";
  EXPECT_EQ(port->counters().tx_errors, 1u);
  EXPECT_EQ(port->counters().tx_packets, 0u);
  EXPECT_TRUE(port->up());
}

}  // namespace
}  // namespace sluice::testing
