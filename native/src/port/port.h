#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "core/buffers.h"
#include "core/error.h"
#include "core/packet.h"

namespace sluice {

struct PortConfig;  // control/desired_state.h

struct PortCounters {
  uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_errors, tx_errors;
};

/// A way in and out of the node. Calls come from several threads: receive() for one queue from one worker at a time;
/// transmit() from any worker at once, each with its own worker number.
class Port {
 public:
  virtual ~Port() = default;

  /// Up to `count` frames that came in. A received mbuf starts at its link header; its PacketMeta's flags, gso_size and
  /// in_port are set (PARTIAL_CHECKSUM and SUPER_FRAME where the frame carries them), all else there is zero.
  virtual uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) = 0;

  /// Sends frames; returns how many were taken, in order. The caller keeps (and frees) the rest. Frames with
  /// PARTIAL_CHECKSUM or SUPER_FRAME arrive here only when offloads() is true, and then meta.l2_length is the length of
  /// the link header at the start of the data, and l4_offset counts from the L3 header behind it, as always.
  virtual uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) = 0;

  /// True when the port takes partial checksums and TCP super-frames of up to 64 KiB (a TAP with IFF_VNET_HDR does).
  virtual bool offloads() const { return false; }

  /// Receive queues; each is polled by one worker.
  virtual uint16_t queues() const { return 1; }

  /// A descriptor that is readable when a frame waits on the queue, for idle workers; -1 when there is none to wait on,
  /// and the worker polls at intervals.
  virtual int wait_descriptor(uint16_t queue) const {
    (void)queue;
    return -1;
  }

  /// Jumbo buffers that it keeps, ready for frames to come.
  virtual uint32_t jumbos() const { return 0; }

  virtual PortCounters counters() const = 0;
  /// False once the device is gone or down; it then takes no frames.
  virtual bool up() const { return true; }

  /// True once the device is gone for good: another port has to take its place.
  virtual bool gone() const { return false; }

  /// Lets go of the device, which stays as it is: gone() from now on. Workers may be using the port.
  virtual void let_go() {}

  /// Ends the port; no worker may use it any more. With `keep`, an interface that the port made stays (a TAP in a pod
  /// keeps its addresses and routes, and the next open_port with the same name takes it over); otherwise it is removed.
  /// A port that is destroyed without close() leaves things as open_port found them.
  virtual void close(bool keep) { (void)keep; }

  PortId id = kNoPort;
  std::string name;
  rte_ether_addr mac{};       ///< the dataplane's side
  rte_ether_addr peer_mac{};  ///< TAP: the interface in the namespace; others: zero
  uint16_t mtu = 1500;        ///< largest L3 packet that leaves unsegmented
};

/// Opens a port of any kind but vxlan, which is no device. `id` is its number from now on; `workers` is the number of
/// workers that may transmit. An Error's path is relative to the port's own object ("/device", "/netns").
Result<std::unique_ptr<Port>> open_port(const PortConfig& config, PortId id, const BufferPools& pools,
                                        uint16_t workers);

/// The ports of a node by number; immutable once published, replaced as a whole.
class PortTable {
 public:
  Port* at(PortId id) const { return id < kMaxPorts ? ports_[id] : nullptr; }
  void set(PortId id, Port* port) { ports_[id] = port; }

 private:
  std::array<Port*, kMaxPorts> ports_{};
};

}  // namespace sluice
