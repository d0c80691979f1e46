#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/packet.h"
#include "fixtures.h"
#include "testing/eal.h"

namespace sluice::testing {
namespace {

using Bytes = std::vector<uint8_t>;

/// A UDP datagram in Ethernet; `mark` is in its payload.
Bytes frame(uint8_t mark, size_t payload = 50) {
  Bytes bytes =
      from_hex("020000000002 020000000001 0800 4500004e 00004000 40110000 0a010102 0a020203 14e90035 003a0000");
  bytes.resize(bytes.size() + payload, mark);
  return bytes;
}

rte_mbuf* buffer(const Bytes& bytes) {
  rte_mbuf* packet = rte_pktmbuf_alloc(pools().packets);
  memcpy(rte_pktmbuf_append(packet, bytes.size()), bytes.data(), bytes.size());
  memset(static_cast<void*>(meta_of(packet)), 0xee, sizeof(PacketMeta));  // what an earlier use left there
  return packet;
}

bool send(Port& port, const Bytes& bytes) {
  rte_mbuf* packet = buffer(bytes);
  if (port.transmit(0, &packet, 1) == 1) return true;
  rte_pktmbuf_free(packet);
  return false;
}

/// Waits up to a second for the next frame.
Bytes next(Port& port) {
  for (int i = 0; i < 1000; i++) {
    rte_mbuf* packet;
    if (port.receive(0, &packet, 1) == 1) {
      PacketMeta expected;
      memset(static_cast<void*>(&expected), 0, sizeof expected);
      expected.in_port = port.id;
      EXPECT_EQ(memcmp(meta_of(packet), &expected, sizeof expected), 0) << "metadata is not clean";
      Bytes bytes;
      for (rte_mbuf* part = packet; part != nullptr; part = part->next) {
        const auto* data = rte_pktmbuf_mtod(part, const uint8_t*);
        bytes.insert(bytes.end(), data, data + part->data_len);
      }
      rte_pktmbuf_free(packet);
      return bytes;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

PortConfig config(PortKind kind) {
  PortConfig config;
  config.name = "test";
  config.kind = kind;
  return config;
}

TEST(EthdevPort, RingGivesBackWhatIsSent) {
  auto port = open(config(PortKind::Ring));
  ASSERT_TRUE(port);
  EXPECT_TRUE(send(*port, frame(7)));
  EXPECT_EQ(next(*port), frame(7));
  EXPECT_EQ(port->counters().rx_packets, 1u);
  EXPECT_EQ(port->counters().tx_bytes, frame(7).size());
}

TEST(EthdevPort, RingTakesFramesFromSeveralWorkers) {
  auto opened = open_port(config(PortKind::Ring), 1, pools(), 3);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Port& port = *opened.value();
  std::vector<std::thread> workers;
  for (uint16_t worker = 0; worker < 3; worker++) {
    workers.emplace_back([&port, worker] {
      for (uint8_t i = 0; i < 100; i++) {
        rte_mbuf* packet = buffer(frame(i));
        EXPECT_EQ(port.transmit(worker, &packet, 1), 1);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  int received = 0;
  for (rte_mbuf* packet; port.receive(0, &packet, 1) == 1; received++) rte_pktmbuf_free(packet);
  EXPECT_EQ(received, 300);
}

TEST(EthdevPort, NullReceivesAlwaysAndTakesAll) {
  PortConfig null = config(PortKind::Null);
  null.devargs = "size=96";
  auto port = open(null);
  ASSERT_TRUE(port);
  EXPECT_EQ(next(*port).size(), 96u);
  EXPECT_TRUE(send(*port, frame(1)));
}

TEST(EthdevPort, PcapReadsOneFileAndWritesAnother) {
  const std::string base = "/tmp/sluice-port-test-" + std::to_string(getpid());
  {
    PortConfig writing = config(PortKind::Pcap);
    writing.pcap_tx = base + ".out";
    auto port = open(writing);
    ASSERT_TRUE(port);
    for (uint8_t i = 0; i < 3; i++) EXPECT_TRUE(send(*port, frame(i, 10 + i)));
  }
  {
    PortConfig reading = config(PortKind::Pcap);
    reading.pcap_rx = base + ".out";
    auto port = open(reading);
    ASSERT_TRUE(port);
    for (uint8_t i = 0; i < 3; i++) EXPECT_EQ(next(*port), frame(i, 10 + i));
    rte_mbuf* none;
    EXPECT_EQ(port->receive(0, &none, 1), 0);
  }
  unlink((base + ".out").c_str());
}

TEST(EthdevPort, MemifJoinsTwoEnds) {
  const std::string socket = "/tmp/sluice-memif-test-" + std::to_string(getpid());
  PortConfig server = config(PortKind::Memif), client = config(PortKind::Memif);
  server.devargs = client.devargs = socket;
  server.memif_id = client.memif_id = 5;
  client.memif_server = false;
  auto left = open(server, 1), right = open(client, 2);
  ASSERT_TRUE(left && right);
  for (int i = 0; i < 3000 && !(left->up() && right->up()); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(left->up() && right->up());
  rte_mbuf* none;
  EXPECT_EQ(right->receive(0, &none, 1), 0);  // a client offers the server buffers whenever it polls
  EXPECT_TRUE(send(*left, frame(3)));
  EXPECT_EQ(next(*right), frame(3));
  EXPECT_TRUE(send(*right, frame(4, 1400)));
  EXPECT_EQ(next(*left), frame(4, 1400));
  right.reset();
  for (int i = 0; i < 3000 && left->up(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(left->up()) << "the other end is gone";
  left.reset();
  unlink(socket.c_str());
}

TEST(EthdevPort, MemifSpeaksToAnotherProgram) {
  const std::string socket = "/tmp/sluice-memif-peer-" + std::to_string(getpid());
  PortConfig server = config(PortKind::Memif);
  server.devargs = socket;
  auto port = open(server);
  ASSERT_TRUE(port);
  Background testpmd(
      "dpdk-testpmd --no-huge --no-pci --no-shconf --no-telemetry -m 128 -l 0,1 --file-prefix=memifpeer "
      "--vdev=net_memif0,role=client,id=0,socket=" +
      socket +
      ",socket-abstract=no -- "
      "--total-num-mbufs=4096 --port-topology=loop --forward-mode=macswap --stats-period=1");
  for (int i = 0; i < 10000 && !port->up(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(port->up()) << "testpmd did not connect";
  Bytes swapped = frame(9), back;
  std::swap_ranges(swapped.begin(), swapped.begin() + 6, swapped.begin() + 6);
  for (int i = 0; i < 10 && back.empty(); i++) {  // testpmd connects before it forwards
    send(*port, frame(9));
    back = next(*port);
  }
  EXPECT_EQ(back, swapped);
  port.reset();
  unlink(socket.c_str());
}

TEST(EthdevPort, AnyDpdkDeviceByItsDevargs) {
  PortConfig any = config(PortKind::Dpdk);
  any.devargs = "net_null_any,size=200";
  any.mac = mac("02:00:00:00:00:77");
  auto port = open(any);
  ASSERT_TRUE(port);
  EXPECT_EQ(next(*port).size(), 200u);
  EXPECT_TRUE(rte_is_same_ether_addr(&port->mac, &*any.mac));
}

TEST(EthdevPort, LeavesNoDeviceBehind) {
  const uint16_t before = rte_eth_dev_count_avail();
  for (int i = 0; i < 3; i++) ASSERT_TRUE(open(config(PortKind::Null)));
  EXPECT_EQ(rte_eth_dev_count_avail(), before);
}

TEST(OpenPort, RefusesWithThePlaceAndTheReason) {
  struct Row {
    const char* what;
    PortConfig config;
    const char *code, *path, *text;
  };
  std::vector<Row> rows = {
      {"pcap without files", config(PortKind::Pcap), "missing-field", "/pcap_rx", "file"},
      {"pcap without its file", config(PortKind::Pcap), "file-not-found", "/pcap_rx", "/nowhere/in.pcap"},
      {"memif without socket", config(PortKind::Memif), "missing-field", "/devargs", "socket"},
      {"dpdk without devargs", config(PortKind::Dpdk), "missing-field", "/devargs", "devargs"},
      {"dpdk with an unknown driver", config(PortKind::Dpdk), "port-open-failed", "/device", "net_nonesuch0"},
      {"af_xdp without interface", config(PortKind::AfXdp), "missing-field", "/device", "interface"},
      {"tap without a name", config(PortKind::Tap), "invalid-device", "/device", "1 to 15"},
      {"tap with too long a name", config(PortKind::Tap), "invalid-device", "/device", "abcdefghijklmnop"},
      {"tap in no namespace", config(PortKind::Tap), "netns-not-found", "/netns", "/nowhere/ns"},
      {"tap named as another kind of interface", config(PortKind::Tap), "port-open-failed", "/device", "lo "},
      {"vxlan", config(PortKind::Vxlan), "port-kind-unsupported", "/kind", "no device"},
  };
  rows[1].config.pcap_rx = "/nowhere/in.pcap";
  rows[4].config.devargs = "net_nonesuch0";
  rows[7].config.device = "abcdefghijklmnop";
  rows[8].config.device = "tap0";
  rows[8].config.netns = "/nowhere/ns";
  rows[9].config.device = "lo";
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    auto port = open_port(row.config, 1, pools(), 1);
    ASSERT_FALSE(port.ok());
    EXPECT_EQ(port.error().code, row.code);
    EXPECT_EQ(port.error().path, row.path);
    EXPECT_NE(port.error().message.find(row.text), std::string::npos) << port.error().message;
  }
}

}  // namespace
}  // namespace sluice::testing
