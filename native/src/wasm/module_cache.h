#pragma once

#include <string>
#include <vector>

#include "core/error.h"

namespace sluice {

/// Compiled modules on disk. A file is named after what it was made from and for, holds a digest of its content, and is
/// replaced by rename. Files have mode 0600, the folder 0700: what is in them runs as machine code.
class ModuleCache {
 public:
  /// `folder` empty: no cache. It is made when it is missing.
  explicit ModuleCache(std::string folder) : folder_(std::move(folder)) {}

  bool enabled() const { return !folder_.empty(); }

  /// The file name for a module compiled by this process's engine.
  static std::string key(const std::string& digest);

  /// The compiled code; empty when there is none. A file that cannot be trusted is an Error, and is removed.
  Result<std::vector<uint8_t>> load(const std::string& key) const;
  Status store(const std::string& key, const void* code, size_t size) const;
  void remove(const std::string& key) const;

 private:
  std::string path(const std::string& key) const { return folder_ + "/" + key; }

  std::string folder_;
};

}  // namespace sluice
