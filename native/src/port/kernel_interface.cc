#include "port/kernel_interface.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {

namespace {
Status set_up(int fd, const std::string& device) {
  const auto failed = [&](const char* what) {
    return Error{"port-open-failed", "/device", "interface " + device + ": " + what + ": " + std::strerror(errno)};
  };
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) return failed("reading its state");
  if ((request.ifr_flags & IFF_UP) != 0) return {};
  request.ifr_flags |= IFF_UP;
  if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) return failed("bringing it up");
  return {};
}
}  // namespace

Status bring_up(const std::string& device) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Status status = set_up(fd, device);
  if (fd >= 0) close(fd);
  return status;
}

}  // namespace sluice
