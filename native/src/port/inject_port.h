#pragma once

#include <rte_ring.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/desired_state.h"
#include "port/lane.h"
#include "port/port.h"

namespace sluice {

/// A frame as a test gives it to an InjectPort, or gets it from there: link header first.
struct InjectedFrame {
  std::vector<uint8_t> bytes;
  uint16_t flags = 0;     ///< abi::Flag: PARTIAL_CHECKSUM, SUPER_FRAME
  uint16_t gso_size = 0;  ///< with SUPER_FRAME
};

/// A port whose other side is the control thread: what it injects is received by a worker, what workers transmit it
/// collects. Packet-thread tests need neither devices nor root with it. `devargs` "offload" makes offloads() true.
class InjectPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers);
  ~InjectPort() override;

  /// The port as an InjectPort, or nullptr when it is of another kind.
  static InjectPort* of(Port* port) { return dynamic_cast<InjectPort*>(port); }

  /// Puts a frame in the receive queue. Control thread. False: the queue is full, there is no buffer, or the frame is
  /// longer than 65,535 bytes and two buffers hold.
  bool inject(const InjectedFrame& frame);

  /// Takes up to `max` transmitted frames, oldest first. Control thread.
  std::vector<InjectedFrame> collect(size_t max = SIZE_MAX);

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override;
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override;
  bool offloads() const override { return offloads_; }
  PortCounters counters() const override { return sum_lanes(rx_, tx_); }

 private:
  static constexpr unsigned kQueueLength = 4096;

  struct FreeRing {
    void operator()(rte_ring* ring) const { rte_ring_free(ring); }
  };
  using Ring = std::unique_ptr<rte_ring, FreeRing>;

  InjectPort(const PortConfig& config, PortId id, const BufferPools& pools, uint16_t workers);
  rte_mbuf* make_frame(const InjectedFrame& frame);

  const BufferPools pools_;
  const bool offloads_;
  Ring incoming_, outgoing_;
  std::vector<PortLane> rx_{1}, tx_;
};

}  // namespace sluice
