#include "interface.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fault.h"
#include "port/route_protocol.h"
#include "sysctls.h"

namespace sluice::uplink {

namespace {

/// Seconds for which a route of a router advertisement holds without the next one (RFC 4861 section 6.2.1).
constexpr uint32_t kRouterLifetime = 1800;

std::string text_of(const Object& bytes) {
  return {bytes.begin(), std::find(bytes.begin(), bytes.end(), uint8_t{0})};
}

template <typename Value>
Value value_of(const Object& bytes, Value fallback) {
  if (bytes.size() >= sizeof(Value)) std::memcpy(&fallback, bytes.data(), sizeof(Value));
  return fallback;
}

std::string mac_text(const Object& bytes) {
  char text[18] = "";
  if (bytes.size() == 6) {
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                  bytes[5]);
  }
  return text;
}

LinkInfo link_info(const Object& object) {
  const auto& header = header_of<ifinfomsg>(object);
  const auto get = [&](uint16_t type) { return attribute(object, sizeof header, type); };
  LinkInfo link;
  link.index = header.ifi_index;
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.promiscuous = (header.ifi_flags & IFF_PROMISC) != 0;
  link.loopback = header.ifi_type != ARPHRD_ETHER;
  link.name = text_of(get(IFLA_IFNAME));
  link.mac = mac_text(get(IFLA_ADDRESS));
  link.mtu = value_of<uint32_t>(get(IFLA_MTU), 1500);
  link.queue_length = value_of<uint32_t>(get(IFLA_TXQLEN), 1000);
  link.kind = text_of(attribute(get(IFLA_LINKINFO), 0, IFLA_INFO_KIND));
  const Object xdp = get(IFLA_XDP);
  link.program = value_of<uint32_t>(attribute(xdp, 0, IFLA_XDP_PROG_ID), 0);
  link.program_place = value_of<uint8_t>(attribute(xdp, 0, IFLA_XDP_ATTACHED), XDP_ATTACHED_NONE);
  return link;
}

Object link_request(int index, unsigned flags = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  return {bytes, bytes + sizeof header};
}

/// Routes that the table "local" is not for: those to somewhere, by this interface.
bool is_kept_route(const Object& object, int index) {
  const auto& header = header_of<rtmsg>(object);
  const uint32_t table = value_of<uint32_t>(attribute(object, sizeof header, RTA_TABLE), header.rtm_table);
  return header.rtm_type == RTN_UNICAST && header.rtm_protocol != kRouteProtocol && table != RT_TABLE_LOCAL &&
         (header.rtm_flags & RTM_F_CLONED) == 0 && value_of<int>(attribute(object, sizeof header, RTA_OIF), 0) == index;
}

Object route_by(const Object& recorded, int index, bool stands_in) {
  Object route = without(recorded, sizeof(rtmsg), [](uint16_t type) {
    // What the kernel only tells, or that holds for the old interface.
    return type == RTA_OIF || type == RTA_CACHEINFO || type == RTA_NH_ID || type == RTA_EXPIRES;
  });
  auto& header = header_of<rtmsg>(route);
  header.rtm_flags &= RTNH_F_ONLINK;
  const bool advertised = header.rtm_protocol == RTPROT_RA;
  append_attribute(route, RTA_OIF, &index, sizeof index);
  if (advertised && !stands_in) append_attribute(route, RTA_EXPIRES, &kRouterLifetime, sizeof kRouterLifetime);
  return route;
}

Object address_on(const Object& recorded, int index) {
  const uint32_t kept = IFA_F_NOPREFIXROUTE | IFA_F_MANAGETEMPADDR | IFA_F_MCAUTOJOIN | IFA_F_HOMEADDRESS;
  const bool ipv6 = header_of<ifaddrmsg>(recorded).ifa_family == AF_INET6;
  const uint32_t flags =
      (value_of<uint32_t>(attribute(recorded, sizeof(ifaddrmsg), IFA_FLAGS), 0) & kept) | (ipv6 ? IFA_F_NODAD : 0);
  Object address = without(recorded, sizeof(ifaddrmsg), [](uint16_t type) { return type == IFA_FLAGS; });
  auto& header = header_of<ifaddrmsg>(address);
  header.ifa_index = static_cast<uint32_t>(index);
  header.ifa_flags = static_cast<uint8_t>(flags);
  append_attribute(address, IFA_FLAGS, &flags, sizeof flags);
  return address;
}

/// Gateways must be reachable by routes before them, whose order is the kernel's: again for as long as it helps.
Status write_routes(const Netlink& netlink, const std::vector<Object>& routes, int index, bool stands_in) {
  std::vector<Object> left = routes;
  for (;;) {
    std::vector<Object> refused;
    Status last;
    for (const Object& route : left) {
      Status sent = netlink.send(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route_by(route, index, stands_in),
                                 "adding a route", NLE_EXIST);
      if (sent) continue;
      last = sent;
      refused.push_back(route);
    }
    if (refused.empty()) return {};
    if (refused.size() == left.size()) return last;
    left = std::move(refused);
  }
}

Status write_neighbours(const Netlink& netlink, const std::vector<Object>& neighbours, int index) {
  for (Object neighbour : neighbours) {
    header_of<ndmsg>(neighbour).ndm_ifindex = index;
    neighbour = without(neighbour, sizeof(ndmsg), [](uint16_t type) {
      return type == NDA_CACHEINFO || type == NDA_PROBES || type == NDA_IFINDEX;
    });
    Status sent = netlink.send(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour, "adding a neighbour");
    if (!sent) return sent;
  }
  return {};
}

}  // namespace

Result<std::vector<LinkInfo>> links(const Netlink& netlink) {
  auto objects = netlink.list(RTM_GETLINK, AF_UNSPEC);
  if (!objects) return objects.error();
  std::vector<LinkInfo> found;
  for (const Object& object : objects.value()) found.push_back(link_info(object));
  return found;
}

Result<std::optional<LinkInfo>> find_link(const Netlink& netlink, const std::string& name) {
  auto all = links(netlink);
  if (!all) return all.error();
  for (const LinkInfo& link : all.value()) {
    if (link.name == name) return std::optional<LinkInfo>(link);
  }
  return std::optional<LinkInfo>();
}

Status read_addressing(const Netlink& netlink, int index, Settings* settings) {
  settings->addresses.clear();
  settings->routes.clear();
  settings->neighbours.clear();
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    auto addresses = netlink.list(RTM_GETADDR, family);
    if (!addresses) return addresses.error();
    for (const Object& object : addresses.value()) {
      if (static_cast<int>(header_of<ifaddrmsg>(object).ifa_index) == index) settings->addresses.push_back(object);
    }
    auto routes = netlink.list(RTM_GETROUTE, family);
    if (!routes) return routes.error();
    for (const Object& object : routes.value()) {
      if (is_kept_route(object, index)) settings->routes.push_back(object);
    }
    auto neighbours = netlink.list(RTM_GETNEIGH, family);
    if (!neighbours) return neighbours.error();
    for (const Object& object : neighbours.value()) {
      const auto& header = header_of<ndmsg>(object);
      if (header.ndm_ifindex == index && header.ndm_state == NUD_PERMANENT) settings->neighbours.push_back(object);
    }
  }
  return {};
}

Result<Settings> read_settings(const Netlink& netlink, const LinkInfo& link) {
  Settings settings;
  settings.mac = link.mac;
  settings.mtu = link.mtu;
  settings.queue_length = link.queue_length;
  settings.up = link.up;
  settings.promiscuous = link.promiscuous;
  settings.program = link.program;
  settings.sysctls = read_sysctls(link.name);
  if (Status read = read_addressing(netlink, link.index, &settings); !read) return read.error();
  return settings;
}

Status remove_driver(const Netlink& netlink, const LinkInfo& link, const Settings& settings) {
  if (link.promiscuous && !settings.promiscuous) {
    Status sent = netlink.send(RTM_NEWLINK, 0, link_request(link.index, 0, IFF_PROMISC),
                               "ending promiscuous mode of " + link.name);
    if (!sent) return sent;
  }
  if (link.program == settings.program || link.program_place == XDP_ATTACHED_NONE) return {};
  const int none = -1;
  const uint32_t place = link.program_place == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  Object program;
  append_attribute(program, IFLA_XDP_FD, &none, sizeof none);
  append_attribute(program, IFLA_XDP_FLAGS, &place, sizeof place);
  Object change = link_request(link.index);
  append_attribute(change, IFLA_XDP | NLA_F_NESTED, program.data(), program.size());
  return netlink.send(RTM_NEWLINK, 0, change, "taking the XDP program off " + link.name);
}

Status write_settings(const Netlink& netlink, const LinkInfo& link, const Settings& settings) {
  Object change = link_request(link.index);
  append_attribute(change, IFLA_MTU, &settings.mtu, sizeof settings.mtu);
  append_attribute(change, IFLA_TXQLEN, &settings.queue_length, sizeof settings.queue_length);
  Status changed = netlink.send(RTM_NEWLINK, 0, change, "setting the MTU of " + link.name);
  if (!changed) return changed;
  write_sysctls(link.name, settings.sysctls);
  // The addresses are to be usable at once, and no other than the recorded link-local one is to appear.
  write_sysctls(link.name, {{"ipv6/conf/*/accept_dad", "0"}, {"ipv6/conf/*/addr_gen_mode", "1"}});
  return {};
}

Status write_addressing(const Netlink& netlink, const LinkInfo& link, const Settings& settings, bool stands_in) {
  if (!settings.up) return {};
  if (Status up = set_up(netlink, link.index); !up) return up;
  for (const Object& address : settings.addresses) {
    Status sent = netlink.send(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address_on(address, link.index),
                               "adding an address to " + link.name, NLE_EXIST);
    if (!sent) return sent;
  }
  if (Status written = write_routes(netlink, settings.routes, link.index, stands_in); !written) return written;
  if (stands_in) return {};
  if (Status written = write_neighbours(netlink, settings.neighbours, link.index); !written) return written;
  write_sysctls(link.name, settings.sysctls);
  return {};
}

Status set_up(const Netlink& netlink, int index) {
  return netlink.send(RTM_NEWLINK, 0, link_request(index, IFF_UP, IFF_UP), "bringing an interface up");
}

Status rename_link(const Netlink& netlink, int index, const std::string& name) {
  Object change = link_request(index);
  append_attribute(change, IFLA_IFNAME, name.c_str(), name.size() + 1);
  return netlink.send(RTM_NEWLINK, 0, change, "naming an interface " + name);
}

Status remove_link(const Netlink& netlink, int index, const std::string& name) {
  return netlink.send(RTM_DELLINK, 0, link_request(index), "removing " + name);
}

Status move_link(const Netlink& netlink, int index, int netns, const std::string& name) {
  Object change = link_request(index);
  append_attribute(change, IFLA_NET_NS_FD, &netns, sizeof netns);
  append_attribute(change, IFLA_IFNAME, name.c_str(), name.size() + 1);
  return netlink.send(RTM_NEWLINK, 0, change,
                      "moving " + name + " to another network namespace (bonds, bridges and their like cannot be)");
}

Status make_tap(const std::string& name, const std::string& mac) {
  const auto failed = [&](const char* what) {
    return Error{"uplink-setup-failed", "/device", "TAP " + name + ": " + what + ": " + std::strerror(errno)};
  };
  const int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0) return failed("/dev/net/tun cannot be opened");
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), std::min<size_t>(name.size(), IFNAMSIZ - 1));
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  Status status;
  if (ioctl(tun, TUNSETIFF, &request) != 0) {
    status = failed("making it");
  } else {
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    auto* bytes = reinterpret_cast<unsigned char*>(request.ifr_hwaddr.sa_data);
    std::sscanf(mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", bytes, bytes + 1, bytes + 2, bytes + 3, bytes + 4,
                bytes + 5);
    if (ioctl(tun, SIOCSIFHWADDR, &request) != 0) status = failed("setting its MAC");
    if (status && ioctl(tun, TUNSETPERSIST, 1) != 0) status = failed("making it persistent");
  }
  close(tun);
  fault_point();
  return status;
}

}  // namespace sluice::uplink
