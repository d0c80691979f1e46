#include "port/memif_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace sluice {

namespace {

Error failed(const std::string& path, const std::string& what) {
  return Error{"port-open-failed", "/socket", "memif socket " + path + ": " + what};
}

/// Whether nobody listens there any more. A listener sees a connection that ends at once.
bool is_left_over(const std::string& path) {
  const int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const bool refused =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  close(probe);
  return refused;
}

}  // namespace

Status clear_memif_socket(const std::string& path) {
  if (path.size() >= sizeof sockaddr_un::sun_path) return failed(path, "its path has more than 107 bytes");
  std::error_code code;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, code);
  if (code) return failed(path, "its folder cannot be made: " + code.message());
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return failed(path, "something that is no socket is there");
  if (is_left_over(path)) unlink(path.c_str());
  return {};
}

}  // namespace sluice
