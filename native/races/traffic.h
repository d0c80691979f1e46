#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "control/dataplane.h"

namespace sluice::races {

/// Packets of every kind into the ports "a" and "b", as fast as they are taken, and what comes out of them.
class Traffic {
 public:
  explicit Traffic(Dataplane& dataplane);

  /// Gives the ports more, and takes what came out of them.
  void send();
  /// Sends the rest, so that no datagram is left without its second half.
  void finish();
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }

 private:
  using Frames = std::vector<std::vector<uint8_t>>;

  void send(const char* port, const Frames& frames, size_t& next);
  void receive(const char* port);

  Dataplane& dataplane_;
  Frames to_a_, to_b_;
  size_t next_a_ = 0, next_b_ = 0;
  uint64_t sent_ = 0, received_ = 0;
};

}  // namespace sluice::races
