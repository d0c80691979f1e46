#pragma once

#include <cstdint>
#include <string>

#include "conntrack/flow_record.h"
#include "core/error.h"

namespace sluice {

/// First page of the file; native byte order. Records follow at kFlowFileHeaderSize, each of record_size bytes.
struct FlowFileHeader {
  uint64_t magic;
  uint32_t version;      ///< of this layout
  uint32_t record_size;  ///< FlowRecord and slot area
  uint32_t slot_bytes;
  uint32_t numbers;     ///< records in the file
  uint32_t high_water;  ///< records from here on were never used
  uint32_t spare;
  char boot_id[40];          ///< of the boot whose CLOCK_MONOTONIC the times are in
  char slot_registry[2048];  ///< text, zero-terminated: who owns which part of the slot areas
};
constexpr size_t kFlowFileHeaderSize = 4096;
static_assert(sizeof(FlowFileHeader) <= kFlowFileHeaderSize);

/// The memory that holds the flow records: a mapped file, locked against a second process, or anonymous memory.
class FlowFile {
 public:
  /// `path` on tmpfs or hugetlbfs, or empty. All memory is reserved at once, so that no packet thread meets a full
  /// file system later. `kept` is true when a file of the same layout and boot was there; otherwise all is zero but the
  /// header, and `reason` says why what was there could not be kept (empty when there was nothing).
  static Result<FlowFile> open(const std::string& path, uint32_t numbers, uint32_t slot_bytes);

  FlowFile(FlowFile&& other) noexcept;
  FlowFile& operator=(FlowFile&&) = delete;
  ~FlowFile();

  FlowFileHeader& header() const { return *static_cast<FlowFileHeader*>(memory_); }
  uint8_t* records() const { return static_cast<uint8_t*>(memory_) + kFlowFileHeaderSize; }

  bool kept = false;
  std::string reason;

 private:
  FlowFile() = default;

  void* memory_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace sluice
