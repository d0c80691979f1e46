#pragma once

#include "frames.h"
#include "worker/network.h"

namespace sluice::fuzz {

/// A node that frames are thrown at: two ports, a pod's with offloads' size and a wire of a small MTU; a VXLAN tunnel;
/// routes of several kinds; a neighbour that answers and one that does not. One for the whole process: its tables and
/// its virtual time go on from input to input.
class PathNode {
 public:
  /// `offloads`: its ports take super-frames and partial checksums.
  explicit PathNode(bool offloads = false) : path(state(), offloads) {}

  /// Throws bursts of frames at the node, as the input says, and checks all that comes out. When an input is over no
  /// packet is held anywhere.
  void attack(Source& source);

  testing::Path path;
  /// Stages may have written anything: what leaves then is a packet, but need not have right L4 checksums.
  bool stages_write = false;

 private:
  static DesiredState state();
  static Plan plan();
  rte_mbuf* received(Source& source, const Frame& frame, PortId port);
  void check_sent(bool intact);
  void check_frame(const rte_mbuf* frame, const Port& port, bool intact) const;
  void drain();

  const Plan plan_ = plan();
};

}  // namespace sluice::fuzz
