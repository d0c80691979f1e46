#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/descriptor.h"
#include "failure.h"

namespace sluice::cni {

namespace {

Descriptor opened(const std::string& path) {
  return Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

using Addresses = std::unique_ptr<ifaddrs, decltype(&freeifaddrs)>;

Addresses own_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    throw Failure(code::kInputOutput, std::string("the interfaces cannot be listed: ") + std::strerror(errno));
  }
  return {list, freeifaddrs};
}

const void* address_bytes(const sockaddr* address) {
  return address->sa_family == AF_INET
             ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
             : &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
}

unsigned prefix_length(const sockaddr* mask) {
  const auto* bytes = static_cast<const uint8_t*>(address_bytes(mask));
  const size_t size = mask->sa_family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  unsigned length = 0;
  for (size_t i = 0; i < size; i++) length += static_cast<unsigned>(__builtin_popcount(bytes[i]));
  return length;
}

/// As prevResult writes it: address and prefix length; empty when it is of another family.
std::string written(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr) return {};
  const int family = entry.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return {};
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family, address_bytes(entry.ifa_addr), text, sizeof text);
  return std::string(text) + "/" + std::to_string(prefix_length(entry.ifa_netmask));
}

/// The address in the form that written() gives.
std::string canonical(const std::string& prefix) {
  const size_t slash = prefix.find('/');
  const std::string address = prefix.substr(0, slash);
  const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  in6_addr bytes;
  char text[INET6_ADDRSTRLEN];
  if (slash == std::string::npos || inet_pton(family, address.c_str(), &bytes) != 1) return prefix;
  inet_ntop(family, &bytes, text, sizeof text);
  return text + prefix.substr(slash);
}

}  // namespace

bool is_netns(const std::string& path) {
  const Descriptor netns = opened(path);
  return netns.number() >= 0 && ioctl(netns.number(), NS_GET_NSTYPE) == CLONE_NEWNET;
}

bool is_own_netns(const std::string& path) {
  struct stat own, other;
  return stat("/proc/self/ns/net", &own) == 0 && stat(path.c_str(), &other) == 0 && own.st_dev == other.st_dev &&
         own.st_ino == other.st_ino;
}

void check_interface(const std::string& netns, const std::string& ifname, const std::vector<std::string>& addresses) {
  const Descriptor target = opened(netns);
  if (setns(target.number(), CLONE_NEWNET) != 0) {
    throw Failure(code::kInvalidNetns, "CNI_NETNS: " + netns + " cannot be entered: " + std::strerror(errno));
  }
  const Addresses list = own_addresses();
  bool there = false, up = false;
  std::vector<std::string> present;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (ifname != entry->ifa_name) continue;
    there = true;
    up = (entry->ifa_flags & IFF_UP) != 0;
    present.push_back(written(*entry));
  }
  const auto refuse = [&](const std::string& what) {
    throw Failure(code::kInterfaceChanged, ifname + " " + what, "of the pod's network namespace " + netns);
  };
  if (!there) refuse("is gone");
  if (!up) refuse("is down");
  for (const std::string& address : addresses) {
    if (std::find(present.begin(), present.end(), canonical(address)) == present.end()) refuse("lacks " + address);
  }
}

}  // namespace sluice::cni
