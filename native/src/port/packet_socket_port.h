#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "control/desired_state.h"
#include "port/frame_buffers.h"
#include "port/lane.h"
#include "port/port.h"

namespace sluice {

/// A kernel interface (one end of a veth, a NIC whose driver stays in the kernel) by an AF_PACKET socket with
/// PACKET_VNET_HDR. The socket says which frames carry partial checksums and which are super-frames, as they do
/// whenever the other end of a veth is a kernel's, and takes such frames; DPDK's net_af_packet does neither and would
/// pass broken packets on.
///
/// The kernel's own stack sees the received frames too: give the interface no addresses, and where the node forwards
/// (net.ipv4.ip_forward), set `mac` so that frames for the dataplane are not for the kernel.
class PacketSocketPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers);
  ~PacketSocketPort() override;

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override;
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override;
  bool offloads() const override { return true; }
  int wait_descriptor(uint16_t) const override { return gone_.load(std::memory_order_relaxed) ? -1 : fd_; }
  uint32_t jumbos() const override { return kReceiveFrames; }
  PortCounters counters() const override;
  bool up() const override { return !gone_.load(std::memory_order_relaxed) && !down_.load(std::memory_order_relaxed); }
  bool gone() const override { return gone_.load(std::memory_order_relaxed); }
  void let_go() override;
  void close(bool keep) override;

 private:
  static constexpr uint16_t kReceiveFrames = 32;  ///< each holds a jumbo buffer

  struct TransmitBatch;
  struct ReceiveBatch;

  PacketSocketPort(const PortConfig& config, PortId id, const BufferPools& pools, uint16_t workers);
  Status make_socket(const PortConfig& config);
  Status set_up_interface(const PortConfig& config);
  Status listen(const PortConfig& config);

  int read_batch(uint16_t queue, uint16_t wanted);
  rte_mbuf* take_frame(FrameBuffers& buffers, uint32_t length, const void* control, size_t control_length);
  uint16_t send_batch(uint16_t worker, TransmitBatch& batch);
  void note_failure(int reason);
  void note_success();

  const BufferPools pools_;
  int fd_ = -1;
  int index_ = 0;  ///< the interface's
  std::atomic<bool> gone_{false}, down_{false};
  std::unique_ptr<ReceiveBatch> batch_;
  std::vector<PortLane> rx_{1}, tx_;
};

}  // namespace sluice
