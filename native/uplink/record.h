#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "netlink.h"

namespace sluice::uplink {

/// What an interface is set to, but for its name.
struct Settings {
  std::string mac;  ///< as the kernel writes it: 02:00:00:00:00:01
  uint32_t mtu = 0, queue_length = 0;
  bool up = false, promiscuous = false;
  uint32_t program = 0;                        ///< id of the XDP program on it
  std::map<std::string, std::string> sysctls;  ///< by path below /proc/sys/net with * for the interface
  std::vector<Object> addresses, routes, neighbours;
};

enum class Stage { Taking, Taken, Giving };

/// What was taken from the node, on disk before anything of it is changed and until all of it is back.
struct Record {
  Stage stage = Stage::Taking;
  std::string device;     ///< the interface's name, and that of the node's TAP
  std::string netns;      ///< path of the namespace in which the interface is while it is taken
  int64_t owner = 0;      ///< process for which it was taken last
  std::string temporary;  ///< the TAP's name until the interface's is free
  Settings settings;
};

/// Nothing where there is no such file.
Result<std::optional<Record>> read_record(const std::string& path);
/// Atomic, and on disk when it returns.
Status write_record(const std::string& path, const Record& record);
Status remove_record(const std::string& path);

/// Held for as long as it lives, by one process at a time for each path.
class RecordLock {
 public:
  static Result<RecordLock> acquire(const std::string& path);
  ~RecordLock();
  RecordLock(RecordLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  RecordLock(const RecordLock&) = delete;
  RecordLock& operator=(const RecordLock&) = delete;
  RecordLock& operator=(RecordLock&&) = delete;

 private:
  explicit RecordLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace sluice::uplink
