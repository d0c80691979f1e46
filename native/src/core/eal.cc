#include "core/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <thread>

namespace sluice {

namespace {

constexpr uint32_t kHugepageMb = 2;

uint64_t free_hugepages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  uint64_t pages = 0;
  file >> pages;
  return pages;
}

/// DPDK's levels: 1 emergency to 8 debug.
std::string eal_log_level(const std::string& level) {
  static const std::map<std::string, std::string> levels = {
      {"trace", "8"}, {"debug", "8"}, {"info", "6"}, {"warn", "5"}, {"error", "4"}};
  const auto found = levels.find(level);
  return found != levels.end() ? found->second : "4";
}

int first_allowed_cpu() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (CPU_ISSET(cpu, &set)) return cpu;
    }
  }
  return 0;
}

/// EAL pins the thread that starts it, so a thread of its own does, and ends.
int init_on_own_thread(std::vector<std::string> arguments, std::string& reason) {
  int result = -1;
  std::thread([&] {
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    result = rte_eal_init(static_cast<int>(argv.size()), argv.data());
    if (result < 0) reason = rte_strerror(rte_errno);
  }).join();
  return result;
}

}  // namespace

Result<EalInfo> start_eal(const EalOptions& options) {
  const uint64_t available_mb = free_hugepages() * kHugepageMb;
  const bool huge = options.hugepages != Hugepages::Never && available_mb >= options.memory_mb;
  const std::string wanted = std::to_string(options.memory_mb) + " MiB";
  if (!huge && options.hugepages == Hugepages::Require) {
    return Error{"no-hugepages", "/hugepages",
                 wanted + " of hugepages are required, " + std::to_string(available_mb) +
                     " MiB are free; write more to /proc/sys/vm/nr_hugepages, or use hugepages: auto"};
  }
  std::vector<std::string> arguments = {"sluice",
                                        "--no-telemetry",
                                        "--file-prefix=sluice-" + options.name,
                                        "-m",
                                        std::to_string(options.memory_mb),
                                        "-l",
                                        std::to_string(first_allowed_cpu()),
                                        "--log-level=" + eal_log_level(options.log_level)};
  // Neither leaves a file behind; DPDK refuses --in-memory together with --no-huge.
  if (huge) {
    arguments.push_back("--in-memory");
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
  }
  if (!options.pci) arguments.push_back("--no-pci");
  std::string reason;
  const bool started = init_on_own_thread(arguments, reason) >= 0;
  rmdir(rte_eal_get_runtime_dir());  // made for files that there are none of
  if (!started) {
    return Error{"eal-failed", "/memory",
                 "DPDK does not start with " + wanted + ": " + reason +
                     "; lower memory.size when the machine has less, and start it as root"};
  }
  if (huge) return EalInfo{true, "using " + wanted + " of hugepages"};
  const std::string why = options.hugepages == Hugepages::Never
                              ? "hugepages: never"
                              : std::to_string(available_mb) + " MiB of hugepages are free";
  return EalInfo{false, "using " + wanted + " of ordinary memory (" + why + ")"};
}

}  // namespace sluice
