#include "port/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace sluice {

namespace {
Status enter(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{"netns-not-found", "/netns",
                 "network namespace " + path + " cannot be opened: " + std::strerror(errno)};
  }
  const int result = setns(fd, CLONE_NEWNET);
  const int reason = errno;
  close(fd);
  if (result == 0) return {};
  return Error{"netns-not-entered", "/netns",
               "network namespace " + path + " cannot be entered: " + std::strerror(reason) +
                   "; it must be a network namespace's file, and Sluice must run as root"};
}
}  // namespace

Status in_netns(const std::string& path, const std::function<Status()>& work) {
  if (path.empty()) return work();
  Status status;
  std::thread([&] {
    status = enter(path);
    if (status) status = work();
  }).join();
  return status;
}

std::optional<NetnsId> netns_id(const std::string& path) {
  const char* file = path.empty() ? "/proc/self/ns/net" : path.c_str();
  struct statfs system;
  struct stat found;
  if (statfs(file, &system) != 0 || system.f_type != NSFS_MAGIC || stat(file, &found) != 0) return std::nullopt;
  return NetnsId{found.st_dev, found.st_ino};
}

}  // namespace sluice
