#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace sluice {

enum class Hugepages { Auto, Never, Require };

struct EalOptions {
  std::string name;  ///< names this process's DPDK files, should a driver make any
  uint32_t memory_mb = 512;
  Hugepages hugepages = Hugepages::Auto;
  bool pci = false;       ///< scan the PCI bus: only where a port needs it
  std::string log_level;  ///< trace, debug, info, warn, error
};

struct EalInfo {
  bool hugepages = false;
  std::string message;  ///< what memory was chosen and why, one line
};

/// Starts DPDK's environment, once a process and for its whole life. The calling thread's CPU affinity is kept.
Result<EalInfo> start_eal(const EalOptions& options);

}  // namespace sluice
