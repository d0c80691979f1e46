#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"

namespace sluice {

/// A filter in pcap-filter(7)'s syntax over Ethernet frames, optimised. BPF has no loops and checks every access.
class PacketFilter {
 public:
  static constexpr size_t kLongest = 4096;  ///< characters
  static constexpr uint32_t kMaxInstructions = 2048;
  static constexpr uint32_t kReach = 2048;  ///< bytes of a frame that a filter sees

  /// Empty text matches every frame. The error has libpcap's message, and the path "/filter".
  static Result<PacketFilter> compile(const std::string& text);

  /// `captured` bytes of a frame of `length`.
  bool matches(const uint8_t* frame, uint32_t length, uint32_t captured) const {
    return program_ == nullptr || bpf_filter(program_->bf_insns, frame, length, captured) != 0;
  }
  bool matches_all() const { return program_ == nullptr; }

 private:
  struct Free {
    void operator()(bpf_program* program) const {
      pcap_freecode(program);
      delete program;
    }
  };
  std::unique_ptr<bpf_program, Free> program_;
};

}  // namespace sluice
