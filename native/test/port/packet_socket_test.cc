#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "core/packet.h"
#include "fixtures.h"
#include "testing/eal.h"

namespace sluice::testing {
namespace {

const char kPeerMac[] = "02:00:00:00:00:0b";

/// A veth between the dataplane's namespace and a host that runs the kernel's stack.
class Veth : public ::testing::Test {
 protected:
  Veth() {
    const std::string host = host_.name(), node = node_.name();
    const Outcome made =
        testing::run("set -e; ip -n " + node + " link add up0 type veth peer name eth0 netns " + host + "; ip -n " +
                     host + " link set eth0 address " + kPeerMac + " up; ip -n " + host +
                     " addr add 10.9.0.3/24 dev eth0; ip -n " + host + " addr add fd09::3/64 dev eth0 nodad");
    EXPECT_EQ(made.status, 0) << made.output;
  }

  std::unique_ptr<Port> open_uplink(const std::string& own_mac = "") {
    PortConfig config;
    config.name = "uplink";
    config.kind = PortKind::AfPacket;
    config.device = "up0";
    config.netns = node_.path();
    if (!own_mac.empty()) config.mac = mac(own_mac);
    auto port = open(config, 2);
    if (port) port->peer_mac = mac(kPeerMac);
    // The kernel drops what is sent before it has noted the carrier.
    for (int i = 0; i < 100 && host_.run("ip link show eth0").output.find("state UP") == std::string::npos; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return port;
  }

  void tell_host_the_gateway(const Port& port) {
    char text[RTE_ETHER_ADDR_FMT_SIZE];
    rte_ether_format_addr(text, sizeof text, &port.mac);
    const std::string entry = std::string(" dev eth0 nud permanent lladdr ") + text;
    EXPECT_EQ(host_.run("ip neigh add 10.9.0.2" + entry).status, 0);
    EXPECT_EQ(host_.run("ip neigh add fd09::2" + entry).status, 0);
  }

  Namespace node_{"pktn"}, host_{"pkth"};
};

class VethAndPod : public Veth {
 protected:
  VethAndPod() {
    PortConfig config;
    config.name = "pod";
    config.device = "eth0";
    config.netns = pod_space_.path();
    config.addresses = {prefix("169.254.1.1/32"), prefix("fe80::1/128")};
    config.peer_addresses = {prefix("10.9.0.2/32"), prefix("fd09::2/128")};
    config.peer_default_route = true;
    pod_ = open(config, 1);
  }

  Namespace pod_space_{"pktp"};
  std::unique_ptr<Port> pod_;
};

TEST_F(VethAndPod, KernelTcpBothWaysThoughItSendsPartialChecksumsAndSuperFrames) {
  auto uplink = open_uplink();
  ASSERT_TRUE(uplink && pod_);
  tell_host_the_gateway(*uplink);
  Wire wire(*pod_, *uplink);
  for (const char* address : {"10.9.0.3", "fd09::3"}) {
    const Outcome ping = pod_space_.run(std::string("ping -c 3 -i 0.05 -W 1 ") + address);
    EXPECT_EQ(ping.status, 0) << ping.output;
  }
  Background server("ip netns exec " + host_.name() + " iperf3 -s");
  for (const char* options : {"-c 10.9.0.3", "-R -c 10.9.0.3", "-c fd09::3", "-R -c fd09::3"}) {
    Outcome client;
    for (int attempt = 0; attempt < 50; attempt++) {
      client = pod_space_.run(std::string("iperf3 -t 1 -f g ") + options);
      if (client.status == 0) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    ASSERT_EQ(client.status, 0) << client.output;
    const size_t line = client.output.rfind("\n", client.output.find("receiver"));
    std::printf("[ iperf3   ] %s %s\n", options, client.output.substr(line + 1, 70).c_str());
  }
  const PortCounters counters = uplink->counters();
  EXPECT_GT(counters.rx_bytes / counters.rx_packets, 4000u) << "no super-frames came over the veth";
  EXPECT_EQ(counters.rx_errors, 0u);
  EXPECT_EQ(counters.tx_errors, 0u);
}

/// Waits for the first frame of that ethertype.
rte_mbuf* next_of(Port& port, uint16_t type) {
  for (int i = 0; i < 1000; i++) {
    rte_mbuf* frame;
    if (port.receive(0, &frame, 1) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (rte_pktmbuf_mtod(frame, rte_ether_hdr*)->ether_type == rte_cpu_to_be_16(type)) return frame;
    rte_pktmbuf_free(frame);
  }
  return nullptr;
}

TEST_F(Veth, VlanTagsStayInTheFrame) {
  auto uplink = open_uplink();
  PortConfig other;
  other.name = "other";
  other.kind = PortKind::AfPacket;
  other.device = "eth0";
  other.netns = host_.path();
  auto sender = open(other, 3);
  ASSERT_TRUE(uplink && sender);
  const auto tagged = from_hex("ffffffffffff 020000000001 8100 0007 0800 45000014 00000000 40010000 0a010101 0a010102");
  rte_mbuf* frame = rte_pktmbuf_alloc(pools().packets);
  memset(static_cast<void*>(meta_of(frame)), 0, sizeof(PacketMeta));
  memcpy(rte_pktmbuf_append(frame, tagged.size()), tagged.data(), tagged.size());
  ASSERT_EQ(sender->transmit(0, &frame, 1), 1);
  frame = next_of(*uplink, RTE_ETHER_TYPE_VLAN);
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(to_hex(frame), to_hex(tagged.data(), tagged.size()));
  rte_pktmbuf_free(frame);
}

TEST_F(Veth, FramesForAMacOfTheDataplanesOwnComeIn) {
  auto uplink = open_uplink("02:00:00:00:00:99");
  ASSERT_TRUE(uplink);
  tell_host_the_gateway(*uplink);
  host_.run("ping -c 1 -W 0.1 10.9.0.2");
  rte_mbuf* frame = next_of(*uplink, RTE_ETHER_TYPE_IPV4);
  ASSERT_NE(frame, nullptr);
  const rte_ether_addr own = mac("02:00:00:00:00:99");
  EXPECT_TRUE(rte_is_same_ether_addr(&rte_pktmbuf_mtod(frame, rte_ether_hdr*)->dst_addr, &own));
  EXPECT_EQ(meta_of(frame)->in_port, 2);
  rte_pktmbuf_free(frame);
}

TEST_F(Veth, IsDownWhileTheInterfaceIsAndGoneWhenItIsDeleted) {
  auto uplink = open_uplink();
  ASSERT_TRUE(uplink);
  const auto send = [&] {
    rte_mbuf* frame = rte_pktmbuf_alloc(pools().packets);
    memset(static_cast<void*>(meta_of(frame)), 0, sizeof(PacketMeta));
    memset(rte_pktmbuf_append(frame, 60), 0xff, 60);
    if (uplink->transmit(0, &frame, 1) == 1) return true;
    rte_pktmbuf_free(frame);
    return false;
  };
  EXPECT_TRUE(send());
  EXPECT_TRUE(uplink->up());
  node_.run("ip link set up0 down");
  EXPECT_FALSE(send());
  EXPECT_FALSE(uplink->up());
  node_.run("ip link set up0 up");
  EXPECT_TRUE(send());
  EXPECT_TRUE(uplink->up());
  node_.run("ip link del up0");
  EXPECT_FALSE(send());
  EXPECT_FALSE(uplink->up());
  EXPECT_EQ(uplink->wait_descriptor(0), -1);
}

}  // namespace
}  // namespace sluice::testing
