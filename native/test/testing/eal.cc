#include "testing/eal.h"

#include <rte_eal.h>
#include <rte_ether.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice::testing {

void eal() {
  static const int result = [] {
    std::vector<std::string> arguments = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
                                          "-m",   "1024",      "-l",       "0",           "--log-level=4"};
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    return rte_eal_init(static_cast<int>(argv.size()), argv.data());
  }();
  if (result < 0) {
    std::fprintf(stderr, "EAL does not start: are you root?\n");
    std::exit(1);
  }
}

std::vector<uint8_t> from_hex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  int high = -1;
  for (const char c : hex) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

std::string to_hex(const uint8_t* bytes, size_t count) {
  std::string hex;
  char pair[3];
  for (size_t i = 0; i < count; i++) {
    std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
    hex += pair;
  }
  return hex;
}

std::string to_hex(const rte_mbuf* packet) {
  std::string hex;
  for (; packet != nullptr; packet = packet->next) hex += to_hex(rte_pktmbuf_mtod(packet, uint8_t*), packet->data_len);
  return hex;
}

uint16_t CapturePort::transmit(uint16_t, rte_mbuf** frames, uint16_t count) {
  sent.insert(sent.end(), frames, frames + count);
  return count;
}

void CapturePort::clear() {
  for (rte_mbuf* frame : sent) rte_pktmbuf_free(frame);
  sent.clear();
}

TestContext::TestContext() : outboxes_(new WorkerContext::Outbox[kMaxPorts]) {
  eal();
  static int number = 0;
  auto made = make_buffer_pools("test" + std::to_string(number++), 4096, 64);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    std::abort();
  }
  pools = made.value();
  worker.pool = pools.packets;
  worker.ports = &ports;
  worker.outboxes = outboxes_.get();
  worker.now_ns = 1'000'000'000;
}

TestContext::~TestContext() {
  worker.flush_all();
  for (uint16_t i = 0; i < worker.originated.count; i++) rte_pktmbuf_free(worker.originated.packets[i]);
  owned_ports_.clear();
  free_buffer_pools(pools);
}

rte_mbuf* TestContext::packet(const std::vector<uint8_t>& bytes, PortId in_port) {
  rte_mbuf* packet = rte_pktmbuf_alloc(pools.packets);
  if (packet == nullptr) return nullptr;
  std::memset(meta_of(packet), 0, sizeof(PacketMeta));
  meta_of(packet)->in_port = in_port;
  char* data = rte_pktmbuf_append(packet, static_cast<uint16_t>(bytes.size()));
  if (data != nullptr && !bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  return packet;
}

CapturePort& TestContext::add_port(PortId id, const std::string& mac, uint16_t mtu, bool offloads) {
  owned_ports_.push_back(std::make_unique<CapturePort>(offloads));
  CapturePort& port = *owned_ports_.back();
  port.id = id;
  port.name = "port" + std::to_string(id);
  port.mtu = mtu;
  rte_ether_unformat_addr(mac.c_str(), &port.mac);
  ports.set(id, &port);
  return port;
}

uint64_t TestContext::drops(abi::DropReason reason) const {
  return worker.counters.drops[static_cast<size_t>(reason)].load();
}

uint64_t TestContext::all_drops() const {
  uint64_t sum = 0;
  for (const auto& counter : worker.counters.drops) sum += counter.load();
  return sum;
}

uint32_t TestContext::buffers_in_use() const {
  return rte_mempool_in_use_count(pools.packets);
}

}  // namespace sluice::testing
