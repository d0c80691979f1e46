#pragma once

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include <memory>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "port/lane.h"
#include "port/port.h"

namespace sluice {

/// The devargs with which DPDK makes the device of a port ("net_memif3,role=server,..."), with a name that is unique in
/// the process.
Result<std::string> device_arguments(const PortConfig& config);

/// Any DPDK ethernet device, plugged in when opened and out when closed.
///
/// Frames are taken as complete: no driver here says which checksums are partial. AF_XDP on a veth whose other end is a
/// kernel's therefore needs `ethtool -K <other end> tx off` there (the kernel itself stops super-frames when an XDP
/// program is attached); NICs, and ports of other dataplanes, need nothing.
class EthdevPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers);
  ~EthdevPort() override;

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override;
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override;
  PortCounters counters() const override;
  bool up() const override;
  void close(bool keep) override;

 private:
  struct alignas(64) TxQueue {
    rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
  };

  EthdevPort(const PortConfig& config, PortId id, uint16_t workers);
  Status plug(const std::string& devargs);
  Status configure(const PortConfig& config, const BufferPools& pools, uint16_t workers);
  Status set_address(const PortConfig& config);
  Status set_mtu(const PortConfig& config);
  void unplug();

  std::string netns_;  ///< of an AF_XDP interface; empty: the process's own
  uint16_t device_ = RTE_MAX_ETHPORTS;
  bool shared_queues_ = false;  ///< more workers than transmit queues: a queue's lock is taken
  std::vector<TxQueue> tx_queues_;
  std::vector<PortLane> rx_{1}, tx_;
};

}  // namespace sluice
