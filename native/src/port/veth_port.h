#pragma once

#include <memory>
#include <string>

#include "control/desired_state.h"
#include "port/port.h"

namespace sluice {

/// A veth pair: one end in a pod's network namespace, set up as a TAP's is, the other driven by a packet socket. That
/// end is in a namespace of the process, so that the node's kernel neither answers nor sees what the pod sends. Both go
/// with the process; the next start makes them anew.
class VethPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers);
  ~VethPort() override;

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override {
    return socket_->receive(queue, frames, count);
  }
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override {
    return socket_->transmit(worker, frames, count);
  }
  bool offloads() const override { return socket_->offloads(); }
  uint16_t queues() const override { return socket_->queues(); }
  int wait_descriptor(uint16_t queue) const override { return socket_->wait_descriptor(queue); }
  uint32_t jumbos() const override { return socket_->jumbos(); }
  PortCounters counters() const override { return socket_->counters(); }
  bool up() const override { return socket_->up(); }
  bool gone() const override { return socket_->gone(); }
  void let_go() override { socket_->let_go(); }
  void close(bool keep) override;

 private:
  explicit VethPort(std::string own_end) : own_end_(std::move(own_end)) {}

  const std::string own_end_;
  bool made_ = false;
  std::unique_ptr<Port> socket_;
};

}  // namespace sluice
