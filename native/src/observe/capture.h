#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/packet.h"
#include "observe/byte_ring.h"
#include "observe/packet_filter.h"

namespace sluice {

constexpr size_t kMaxCaptures = 4;
constexpr uint32_t kMaxSnapLength = 65535;

/// A place in the pipeline.
struct CapturePoint {
  enum class Kind : uint8_t { Rx, Hook, Stage, Tx, Drop };
  Kind kind;
  abi::Hook hook;     ///< Hook
  std::string stage;  ///< Stage
  std::string name;   ///< "rx", "forward", "stage:policy"
};

/// What a worker notes of a packet that it met at a point; as many bytes of its frame follow as were captured.
struct CaptureRecord {
  uint64_t wall_ns;
  uint32_t length;  ///< of the whole frame
  uint32_t captured;
  uint32_t point;  ///< index in the capture's list
  char port[64];
  char reason[64];  ///< of a drop
  char stage[64];   ///< of a drop: who decided so; empty: native code
};

/// A capture, as all workers share it.
struct Capture {
  PacketFilter filter;
  std::vector<CapturePoint> points;
  std::vector<std::string> ports;  ///< empty: all
  uint32_t snap_length = 0;
  std::vector<std::unique_ptr<ByteRing>> rings;  ///< by worker

  static constexpr size_t kRingBytes = 2 << 20;
};

}  // namespace sluice
