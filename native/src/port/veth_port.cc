#include "port/veth_port.h"

#include <fcntl.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "port/link_address.h"
#include "port/netns.h"
#include "port/packet_socket_port.h"
#include "port/peer_setup.h"

namespace sluice {

namespace {

struct FreeSocket {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
struct FreeLink {
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
};
using Socket = std::unique_ptr<nl_sock, FreeSocket>;
using Link = std::unique_ptr<rtnl_link, FreeLink>;

Error failed(const std::string& device, const std::string& what, const std::string& reason) {
  return Error{"port-open-failed", "/device", "veth " + device + ": " + what + ": " + reason};
}

/// The namespace of the pairs' own ends, for as long as the process lives; -1 when it could not be made.
int own_netns() {
  static const int netns = [] {
    int made = -1;
    std::thread([&made] {
      if (unshare(CLONE_NEWNET) == 0) made = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    }).join();
    return made;
  }();
  return netns;
}

std::string own_netns_path() {
  return "/proc/self/fd/" + std::to_string(own_netns());
}

/// Of the port's name, which is longer than an interface's may be.
std::string name_of_own_end(const std::string& port) {
  const rte_ether_addr hash = address_from_name(port);
  char name[IFNAMSIZ];
  std::snprintf(name, sizeof name, "v%02x%02x%02x%02x%02x", hash.addr_bytes[1], hash.addr_bytes[2], hash.addr_bytes[3],
                hash.addr_bytes[4], hash.addr_bytes[5]);
  return name;
}

Result<Socket> connected(const std::string& device) {
  Socket socket(nl_socket_alloc());
  const int code = nl_connect(socket.get(), NETLINK_ROUTE);
  if (code < 0) return failed(device, "opening netlink", nl_geterror(code));
  return socket;
}

/// In this namespace, where there is one: the end of a pair whose other end is of an earlier process.
Status remove_veth(const std::string& device) {
  auto socket = connected(device);
  if (!socket) return socket.error();
  rtnl_link* found = nullptr;
  if (rtnl_link_get_kernel(socket.value().get(), 0, device.c_str(), &found) < 0) return {};
  const Link link(found);
  const char* kind = rtnl_link_get_type(found);
  if (kind == nullptr || std::strcmp(kind, "veth") != 0) {
    return failed(device, "making it", "an interface of another kind has this name; choose another one");
  }
  const int code = rtnl_link_delete(socket.value().get(), found);
  if (code < 0 && code != -NLE_NODEV && code != -NLE_OBJ_NOTFOUND) {
    return failed(device, "removing an earlier one", nl_geterror(code));
  }
  return {};
}

/// Run in the namespace of own ends.
Status make_pair(const PortConfig& config, const std::string& own_end, const rte_ether_addr& mac) {
  const int netns = ::open(config.netns.c_str(), O_RDONLY | O_CLOEXEC);
  if (netns < 0) return failed(config.device, "opening namespace " + config.netns, std::strerror(errno));
  auto socket = connected(config.device);
  const Link pair(rtnl_link_veth_alloc());
  rtnl_link_set_name(pair.get(), own_end.c_str());
  rtnl_link_set_mtu(pair.get(), config.mtu);
  nl_addr* address = nl_addr_build(AF_LLC, mac.addr_bytes, RTE_ETHER_ADDR_LEN);
  rtnl_link_set_addr(pair.get(), address);
  nl_addr_put(address);
  rtnl_link* peer = rtnl_link_veth_get_peer(pair.get());
  rtnl_link_set_name(peer, config.device.c_str());
  rtnl_link_set_mtu(peer, config.mtu);
  rtnl_link_set_ns_fd(peer, netns);
  rtnl_link_put(peer);
  const int code = socket ? rtnl_link_add(socket.value().get(), pair.get(), NLM_F_CREATE | NLM_F_EXCL) : -NLE_BAD_SOCK;
  ::close(netns);
  if (code < 0) return failed(config.device, "making it in " + config.netns, nl_geterror(code));
  return {};
}

}  // namespace

Result<std::unique_ptr<Port>> VethPort::open(const PortConfig& config, PortId id, const BufferPools& pools,
                                             uint16_t workers) {
  if (config.device.empty() || config.device.size() >= IFNAMSIZ || config.netns.empty()) {
    return Error{"invalid-device", "/device", "a veth port needs an interface name and a network namespace"};
  }
  if (own_netns() < 0) return failed(config.device, "making a namespace for own ends", "the kernel refused it");
  std::unique_ptr<VethPort> port(new VethPort(name_of_own_end(config.name)));
  port->id = id;
  port->name = config.name;
  port->mtu = config.mtu;
  port->mac = config.mac ? *config.mac : address_from_name(config.name);
  Status removed = in_netns(config.netns, [&] { return remove_veth(config.device); });
  if (!removed) return removed.error();
  Status made = in_netns(own_netns_path(), [&]() -> Status {
    if (Status cleared = remove_veth(port->own_end_); !cleared) return cleared;
    return make_pair(config, port->own_end_, port->mac);
  });
  if (!made) return made.error();
  port->made_ = true;
  Status set_up = in_netns(config.netns, [&] { return set_up_peer(config, true, port->mac, &port->peer_mac); });
  if (!set_up) return set_up.error();
  PortConfig own = config;
  own.device = port->own_end_;
  own.netns = own_netns_path();
  auto socket = PacketSocketPort::open(own, id, pools, workers);
  if (!socket) return socket.error();
  port->socket_ = std::move(socket.value());
  return std::unique_ptr<Port>(std::move(port));
}

VethPort::~VethPort() {
  close(false);
}

/// The pair goes in any case: an own end that nobody reads would keep the pod's end up.
void VethPort::close(bool keep) {
  if (socket_) socket_->close(keep);
  if (!made_) return;
  made_ = false;
  // What fails here fails because the pod's namespace took the pair along.
  (void)in_netns(own_netns_path(), [&] { return remove_veth(own_end_); });
}

}  // namespace sluice
