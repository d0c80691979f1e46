#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "port/frame_buffers.h"
#include "port/lane.h"
#include "port/port.h"

namespace sluice {

/// A TAP in a network namespace with partial checksums and TCP super-frames both ways. It is persistent, so it outlives
/// a killed dataplane, whose successor takes it over. Its descriptor keeps the namespace alive that it was opened in,
/// which has to be the TAP's for an earlier one to be found: PortSet looks after the namespace, and lets go.
class TapPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers);
  ~TapPort() override;

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override;
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override;
  bool offloads() const override { return true; }
  int wait_descriptor(uint16_t) const override { return gone_.load(std::memory_order_relaxed) ? -1 : fd_; }
  uint32_t jumbos() const override { return 1; }
  PortCounters counters() const override { return sum_lanes(rx_, tx_); }
  bool up() const override { return !gone_.load(std::memory_order_relaxed) && !down_.load(std::memory_order_relaxed); }
  bool gone() const override { return gone_.load(std::memory_order_relaxed); }
  void let_go() override;
  void close(bool keep) override;

 private:
  TapPort(const PortConfig& config, PortId id, const BufferPools& pools, uint16_t workers);

  Status attach(const std::string& device);
  Status make_device(const PortConfig& config);
  int send(const rte_mbuf* frame);
  bool note_failure(int reason);
  void note_success();

  const BufferPools pools_;
  int fd_ = -1;
  bool existed_ = false;           ///< the interface was there before open()
  bool kept_ = false;              ///< the interface is others', and stays
  std::atomic<bool> gone_{false};  ///< the device was deleted, or let go of; final
  std::atomic<bool> down_{false};  ///< the interface is administratively down
  FrameBuffers buffers_;
  std::vector<PortLane> rx_{1}, tx_;
};

}  // namespace sluice
