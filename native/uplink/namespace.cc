#include "namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "fault.h"
#include "port/netns.h"
#include "sysctls.h"

namespace sluice::uplink {

namespace {

Error failed(const std::string& path, const std::string& what) {
  return Error{"uplink-setup-failed", path, what + ": " + std::strerror(errno)};
}

Status make_in_this_thread(const std::string& path) {
  if (unshare(CLONE_NEWNET) != 0) return failed(path, "making a network namespace");
  write_sysctls("default", {{"ipv6/conf/*/disable_ipv6", "1"}});
  if (mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return failed(path, "giving a network namespace its name");
  }
  fault_point();
  return {};
}

}  // namespace

Status make_netns(const std::string& path) {
  if (netns_id(path)) return {};
  mkdir(path.substr(0, path.rfind('/')).c_str(), 0755);
  const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
  if (file < 0) return failed(path, "making the file of a network namespace");
  close(file);
  fault_point();
  Status status;
  std::thread([&] { status = make_in_this_thread(path); }).join();
  return status;
}

Status remove_netns(const std::string& path) {
  if (netns_id(path) && umount2(path.c_str(), MNT_DETACH) != 0) return failed(path, "removing a network namespace");
  fault_point();
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed(path, "removing the file of a network namespace");
  fault_point();
  return {};
}

}  // namespace sluice::uplink
