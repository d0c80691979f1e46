#pragma once

#include <rte_mbuf.h>

#include <memory>
#include <string>
#include <vector>

#include "core/buffers.h"
#include "core/worker_context.h"
#include "port/port.h"

namespace sluice::testing {

/// Initialises DPDK once for the test process: no hugepages, no PCI, nothing on disk. The test's main() calls it.
void eal();

/// Bytes of "45 00 00:14 ..." (white space and colons are ignored).
std::vector<uint8_t> from_hex(const std::string& hex);
std::string to_hex(const uint8_t* bytes, size_t count);
std::string to_hex(const rte_mbuf* packet);

/// A port that keeps what is sent through it.
class CapturePort : public Port {
 public:
  explicit CapturePort(bool takes_offloads = false) : offloads_(takes_offloads) {}
  ~CapturePort() override { clear(); }
  uint16_t receive(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  uint16_t transmit(uint16_t, rte_mbuf** frames, uint16_t count) override;
  bool offloads() const override { return offloads_; }
  PortCounters counters() const override { return {}; }
  void clear();

  std::vector<rte_mbuf*> sent;  ///< owned

 private:
  bool offloads_;
};

/// A worker's context with pools and a port table, for testing steps of the packet path on the test's own thread.
class TestContext {
 public:
  TestContext();
  ~TestContext();

  /// A packet with these bytes and a zeroed PacketMeta (in_port as given).
  rte_mbuf* packet(const std::vector<uint8_t>& bytes, PortId in_port = 0);
  rte_mbuf* packet(const std::string& hex, PortId in_port = 0) { return packet(from_hex(hex), in_port); }
  CapturePort& add_port(PortId id, const std::string& mac, uint16_t mtu = 1500, bool offloads = false);
  uint64_t drops(abi::DropReason reason) const;
  uint64_t all_drops() const;
  /// Buffers in use now; equal before and after a test that leaks nothing.
  uint32_t buffers_in_use() const;

  BufferPools pools;
  PortTable ports;
  WorkerContext worker;

 private:
  std::vector<std::unique_ptr<CapturePort>> owned_ports_;
  std::unique_ptr<WorkerContext::Outbox[]> outboxes_;
};

}  // namespace sluice::testing
