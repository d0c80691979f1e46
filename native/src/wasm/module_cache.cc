#include "wasm/module_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "wasm/engine.h"
#include "wasm/sha256.h"

namespace sluice {

namespace {

constexpr size_t kDigestSize = 64;  // hex, at the start of each file
constexpr size_t kMaxFile = 256 << 20;

Error unusable(const std::string& path, const std::string& why) {
  return Error{"module-cache", path, why + "; the module is compiled instead"};
}
Error system_error(const std::string& path) {
  return unusable(path, std::strerror(errno));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

  bool write_all(const void* bytes, size_t size) {
    const auto* at = static_cast<const uint8_t*>(bytes);
    while (size > 0) {
      const ssize_t written = write(fd_, at, size);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      at += written;
      size -= static_cast<size_t>(written);
    }
    return true;
  }

  bool read_all(void* bytes, size_t size) {
    auto* at = static_cast<uint8_t*>(bytes);
    while (size > 0) {
      const ssize_t got = read(fd_, at, size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += got;
      size -= static_cast<size_t>(got);
    }
    return true;
  }

 private:
  int fd_;
};

/// The CPU's features, which the compiler makes use of.
std::string cpu_features() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("flags", 0) == 0 || line.rfind("Features", 0) == 0) return line;
  }
  return "";
}

}  // namespace

std::string ModuleCache::key(const std::string& digest) {
  static const std::string environment = WasmEngine::settings() + ";" + cpu_features();
  const std::string all = digest + ";" + environment;
  return sha256_hex(all.data(), all.size()) + ".cwasm";
}

Result<std::vector<uint8_t>> ModuleCache::load(const std::string& key) const {
  std::vector<uint8_t> code;
  const std::string file_path = path(key);
  File file(open(file_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.fd() < 0) {
    if (errno == ENOENT) return code;
    return system_error(file_path);
  }
  struct stat info;
  if (fstat(file.fd(), &info) != 0) return system_error(file_path);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return unusable(file_path, "others may have written it");
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size <= kDigestSize || size > kMaxFile) {
    remove(key);
    return unusable(file_path, "has an impossible size");
  }
  char digest[kDigestSize];
  code.resize(size - kDigestSize);
  if (!file.read_all(digest, kDigestSize) || !file.read_all(code.data(), code.size())) return system_error(file_path);
  if (sha256_hex(code.data(), code.size()) != std::string(digest, kDigestSize)) {
    remove(key);
    return unusable(file_path, "is damaged");
  }
  return code;
}

Status ModuleCache::store(const std::string& key, const void* code, size_t size) const {
  std::error_code ignored;  // what matters is whether the file can be made
  if (std::filesystem::create_directories(folder_, ignored)) chmod(folder_.c_str(), 0700);
  std::string temporary = path(key) + ".XXXXXX";
  File file(mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
  if (file.fd() < 0) return system_error(folder_);
  const std::string digest = sha256_hex(code, size);
  const bool written = file.write_all(digest.data(), digest.size()) && file.write_all(code, size);
  if (written && rename(temporary.c_str(), path(key).c_str()) == 0) return {};
  const Error error = system_error(path(key));
  unlink(temporary.c_str());
  return error;
}

void ModuleCache::remove(const std::string& key) const {
  unlink(path(key).c_str());
}

}  // namespace sluice
