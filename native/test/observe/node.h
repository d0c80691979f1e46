#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "control/node.h"
#include "l3/packets.h"
#include "port/inject_port.h"
#include "wasm/modules.h"

namespace sluice::testing {

/// From 10.0.0.2 to the node's port "a".
inline Bytes frame(const Bytes& packet) {
  return ethernet("02:00:00:00:00:0a", "02:00:00:00:00:a2", packet);
}
/// UDP from 10.0.0.2, port 1000.
inline Bytes udp_to(const std::string& to, uint16_t port = 2000, const IpOptions& options = {}, size_t payload = 8) {
  return ip("10.0.0.2", to, IPPROTO_UDP, udp_datagram("10.0.0.2", to, filler(payload), 1000, port), options);
}

/// A whole node with two workers. Hosts with known MAC addresses: 10.0.0.2 behind "a", 10.0.1.2 behind "b"; nobody
/// answers for others. 10.3.0.0/16 goes by 10.0.1.2; 10.4.0.0/16 through the tunnel "vx" to 10.0.1.9, a host behind
/// "b". Of all packets at FORWARD, the stage "marker" sets DSCP EF and notes the value "port"; then "gate" drops UDP to
/// port 2001 for a reason of its own, to 2002 by policy, traps at 2003, redirects 2006 to port "b", puts 2007 in again,
/// makes an answer of 2008, and keeps the destination port of the rest as its flow state.
class WatchedNode : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override { node_.reset(); }

  Observation& observation() { return *node_->observation(); }
  void inject(const std::string& port, const Bytes& frame, uint16_t flags = 0, uint16_t gso_size = 0);
  /// Frames that leave by a port until there are `count`, or none came for two seconds.
  std::vector<Bytes> collect(const std::string& port, size_t count);
  void forget(const std::string& port) { InjectPort::of(node_->ports().find(port))->collect(); }
  /// Waits until `done`, for two seconds at most.
  static bool eventually(const std::function<bool()>& done);
  uint64_t drops();

  std::string add(const StageText& stage);
  Status apply(const std::string& plugins, const std::string& pipeline);

  std::unique_ptr<Node> node_;
};

}  // namespace sluice::testing
