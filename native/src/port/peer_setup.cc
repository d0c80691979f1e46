#include "port/peer_setup.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "port/route_protocol.h"

namespace sluice {

namespace {

/// Frames the kernel keeps for us while a worker is away; its default of 1000 is a millisecond's worth at 1 Mpps.
constexpr unsigned kQueueLength = 4096;

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
using Socket = std::unique_ptr<nl_sock, Release<nl_socket_free>>;
using Address = std::unique_ptr<nl_addr, Release<nl_addr_put>>;
using Link = std::unique_ptr<rtnl_link, Release<rtnl_link_put>>;
using LinkAddress = std::unique_ptr<rtnl_addr, Release<rtnl_addr_put>>;
using Neighbour = std::unique_ptr<rtnl_neigh, Release<rtnl_neigh_put>>;
using Route = std::unique_ptr<rtnl_route, Release<rtnl_route_put>>;
using Cache = std::unique_ptr<nl_cache, Release<nl_cache_free>>;

Error failed(const std::string& path, const std::string& what, int code) {
  return Error{"interface-setup-failed", path, what + " failed: " + nl_geterror(code)};
}

int family_of(const IpAddress& address) {
  return address.family == 4 ? AF_INET : AF_INET6;
}

Address kernel_address(const IpAddress& address) {
  return Address(nl_addr_build(family_of(address), address.bytes.data(), address.family == 4 ? 4 : 16));
}

Address kernel_address(const IpPrefix& prefix) {
  Address address = kernel_address(prefix.address);
  nl_addr_set_prefixlen(address.get(), prefix.length);
  return address;
}

Address kernel_address(const rte_ether_addr& mac) {
  return Address(nl_addr_build(AF_LLC, mac.addr_bytes, RTE_ETHER_ADDR_LEN));
}

bool has_ipv6(const PortConfig& config) {
  for (const IpPrefix& prefix : config.peer_addresses) {
    if (prefix.address.family == 6) return true;
  }
  return false;
}

/// `value` has one digit. Nothing is written where it is so already: to write disable_ipv6 takes the kernel's lock of
/// all interfaces, for which a writer spins.
Status make_setting(const std::string& device, const char* setting, char value) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + device + "/" + setting;
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  char found[2] = {};
  const bool same =
      fd >= 0 && pread(fd, found, sizeof found, 0) == sizeof found && found[0] == value && found[1] == '\n';
  const bool made = same || (fd >= 0 && pwrite(fd, &value, 1, 0) == 1);
  const int reason = errno;
  if (fd >= 0) close(fd);
  if (made) return {};
  return Error{"interface-setup-failed", "/device", path + " cannot be written: " + std::strerror(reason)};
}

/// The interface is the dataplane's: no routers but the one we set, and its addresses are usable at once, since
/// duplicate address detection (RFC 4862, section 5.4) would keep them tentative for a second.
Status set_up_ipv6(const PortConfig& config) {
  const bool wanted = has_ipv6(config);
  if (!wanted && access("/proc/sys/net/ipv6", F_OK) != 0) return {};
  if (wanted) {
    if (Status status = make_setting(config.device, "disable_ipv6", '0'); !status) return status;
  }
  for (const char* setting : {"accept_ra", "accept_dad"}) {
    if (Status status = make_setting(config.device, setting, '0'); !status) return status;
  }
  return {};
}

class PeerSetup {
 public:
  PeerSetup(const PortConfig& config, nl_sock* socket) : config_(config), socket_(socket) {}

  Status find_link() {
    rtnl_link* link = nullptr;
    const int code = rtnl_link_get_kernel(socket_, 0, config_.device.c_str(), &link);
    if (code < 0) return failed("/device", "looking up interface " + config_.device, code);
    link_.reset(link);
    index_ = rtnl_link_get_ifindex(link);
    return {};
  }

  /// Before it is up: of one that is up, the kernel exchanges the queue for the new length and waits, with its lock of
  /// all interfaces held, until no CPU uses the old one.
  Status set_link() {
    Link change(rtnl_link_alloc());
    rtnl_link_set_mtu(change.get(), config_.mtu);
    rtnl_link_set_txqlen(change.get(), kQueueLength);
    if (config_.peer_mac) rtnl_link_set_addr(change.get(), kernel_address(*config_.peer_mac).get());
    const int code = rtnl_link_change(socket_, link_.get(), change.get(), 0);
    if (code < 0) return failed("/mtu", "setting MTU, MAC and queue length of " + config_.device, code);
    return {};
  }

  Status bring_up() {
    Link change(rtnl_link_alloc());
    rtnl_link_set_flags(change.get(), IFF_UP);
    const int code = rtnl_link_change(socket_, link_.get(), change.get(), 0);
    if (code < 0) return failed("/device", "bringing " + config_.device + " up", code);
    return {};
  }

  Status remove_other_addresses() {
    nl_cache* addresses = nullptr;
    const int code = rtnl_addr_alloc_cache(socket_, &addresses);
    if (code < 0) return failed("/peer_addresses", "listing the addresses of " + config_.device, code);
    const Cache cache(addresses);
    for (nl_object* object = nl_cache_get_first(addresses); object; object = nl_cache_get_next(object)) {
      auto* address = reinterpret_cast<rtnl_addr*>(object);
      const bool ours = rtnl_addr_get_ifindex(address) == index_ && rtnl_addr_get_scope(address) == RT_SCOPE_UNIVERSE;
      if (!ours || wanted(rtnl_addr_get_local(address))) continue;
      const int result = rtnl_addr_delete(socket_, address, 0);
      if (result < 0) return failed("/peer_addresses", "taking an old address off " + config_.device, result);
    }
    return {};
  }

  Status add_addresses() {
    for (size_t i = 0; i < config_.peer_addresses.size(); i++) {
      const IpPrefix& prefix = config_.peer_addresses[i];
      LinkAddress address(rtnl_addr_alloc());
      rtnl_addr_set_ifindex(address.get(), index_);
      rtnl_addr_set_local(address.get(), kernel_address(prefix).get());
      if (prefix.address.family == 6) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
      const int code = rtnl_addr_add(socket_, address.get(), NLM_F_CREATE | NLM_F_REPLACE);
      if (code < 0) return failed("/peer_addresses/" + std::to_string(i), "adding it to " + config_.device, code);
    }
    return {};
  }

  Status add_gateway_neighbours(const rte_ether_addr& mac) {
    for (size_t i = 0; i < config_.addresses.size(); i++) {
      const IpAddress& gateway = config_.addresses[i].address;
      if (!speaks(gateway.family)) continue;
      Neighbour neighbour(rtnl_neigh_alloc());
      rtnl_neigh_set_ifindex(neighbour.get(), index_);
      rtnl_neigh_set_dst(neighbour.get(), kernel_address(gateway).get());
      rtnl_neigh_set_lladdr(neighbour.get(), kernel_address(mac).get());
      rtnl_neigh_set_state(neighbour.get(), NUD_PERMANENT);
      const int code = rtnl_neigh_add(socket_, neighbour.get(), NLM_F_CREATE | NLM_F_REPLACE);
      if (code < 0)
        return failed("/addresses/" + std::to_string(i), "making it a neighbour on " + config_.device, code);
    }
    return {};
  }

  Status add_default_routes() {
    if (!config_.peer_default_route) return {};
    for (const uint8_t family : {uint8_t{4}, uint8_t{6}}) {
      if (!speaks(family)) continue;
      for (const IpPrefix& prefix : config_.addresses) {
        if (prefix.address.family != family) continue;
        if (Status status = add_route(everything(family), prefix.address, RTPROT_STATIC); !status) return status;
        break;
      }
    }
    return {};
  }

  Status remove_other_routes() {
    nl_cache* routes = nullptr;
    const int code = rtnl_route_alloc_cache(socket_, AF_UNSPEC, 0, &routes);
    if (code < 0) return failed("/peer_routes", "listing the routes by " + config_.device, code);
    const Cache cache(routes);
    for (nl_object* object = nl_cache_get_first(routes); object; object = nl_cache_get_next(object)) {
      auto* route = reinterpret_cast<rtnl_route*>(object);
      if (rtnl_route_get_protocol(route) != kRouteProtocol || !leaves_here(route) || wanted_route(route)) continue;
      const int result = rtnl_route_delete(socket_, route, 0);
      if (result < 0) return failed("/peer_routes", "removing an old route by " + config_.device, result);
    }
    return {};
  }

  Status add_routes() {
    for (const IpPrefix& prefix : config_.peer_routes) {
      const uint8_t family = prefix.address.family;
      const IpAddress* gateway = gateway_of(family);
      if (gateway == nullptr || !speaks(family)) continue;
      if (Status status = add_route(kernel_address(prefix), *gateway, kRouteProtocol); !status) return status;
    }
    return {};
  }

  /// That it was found with, or was given.
  void read_mac(rte_ether_addr* mac) const {
    if (config_.peer_mac && !config_.peer_kept) {
      *mac = *config_.peer_mac;
    } else {
      std::memcpy(mac->addr_bytes, nl_addr_get_binary_addr(rtnl_link_get_addr(link_.get())), RTE_ETHER_ADDR_LEN);
    }
  }

 private:
  /// Without an address of a family in the namespace, a gateway of that family is of no use there.
  bool speaks(uint8_t family) const {
    for (const IpPrefix& prefix : config_.peer_addresses) {
      if (prefix.address.family == family) return true;
    }
    return false;
  }

  bool wanted(nl_addr* local) const {
    for (const IpPrefix& prefix : config_.peer_addresses) {
      if (nl_addr_cmp(local, kernel_address(prefix).get()) == 0) return true;
    }
    return false;
  }

  const IpAddress* gateway_of(uint8_t family) const {
    for (const IpPrefix& prefix : config_.addresses) {
      if (prefix.address.family == family) return &prefix.address;
    }
    return nullptr;
  }

  bool leaves_here(rtnl_route* route) const {
    rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
    return hop != nullptr && rtnl_route_nh_get_ifindex(hop) == index_;
  }

  bool wanted_route(rtnl_route* route) const {
    for (const IpPrefix& prefix : config_.peer_routes) {
      if (nl_addr_cmp(rtnl_route_get_dst(route), kernel_address(prefix).get()) == 0) return true;
    }
    return false;
  }

  static Address everything(uint8_t family) { return kernel_address(IpPrefix{{family, {}}, 0}); }

  /// "onlink": pods have /32 and /128 addresses, so their gateway is in no connected prefix.
  Status add_route(const Address& destination, const IpAddress& gateway, uint8_t protocol) {
    Route route(rtnl_route_alloc());
    rtnl_route_set_family(route.get(), family_of(gateway));
    rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
    rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
    rtnl_route_set_protocol(route.get(), protocol);
    rtnl_route_set_dst(route.get(), destination.get());
    rtnl_nexthop* hop = rtnl_route_nh_alloc();  // the route's own once added
    rtnl_route_nh_set_ifindex(hop, index_);
    rtnl_route_nh_set_gateway(hop, kernel_address(gateway).get());
    rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
    rtnl_route_add_nexthop(route.get(), hop);
    const int code = rtnl_route_add(socket_, route.get(), NLM_F_CREATE | NLM_F_REPLACE);
    if (code < 0) return failed("/peer_routes", "adding a route by " + config_.device, code);
    return {};
  }

  const PortConfig& config_;
  nl_sock* socket_;
  Link link_;
  int index_ = 0;
};

}  // namespace

Status set_up_peer(const PortConfig& config, bool is_new, const rte_ether_addr& gateway_mac, rte_ether_addr* peer_mac) {
  const Socket socket(nl_socket_alloc());
  if (const int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0) return failed("", "opening netlink", code);
  PeerSetup setup(config, socket.get());
  if (Status status = setup.find_link(); !status) return status;
  if (!config.peer_kept) {
    if (Status status = set_up_ipv6(config); !status) return status;
    if (Status status = setup.set_link(); !status) return status;
    if (Status status = setup.bring_up(); !status) return status;
    if (Status status = is_new ? Status() : setup.remove_other_addresses(); !status) return status;
    if (Status status = setup.add_addresses(); !status) return status;
  }
  if (Status status = setup.add_gateway_neighbours(gateway_mac); !status) return status;
  if (Status status = setup.add_default_routes(); !status) return status;
  if (Status status = is_new ? Status() : setup.remove_other_routes(); !status) return status;
  if (Status status = setup.add_routes(); !status) return status;
  setup.read_mac(peer_mac);
  return {};
}

}  // namespace sluice
