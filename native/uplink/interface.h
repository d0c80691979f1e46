#pragma once

#include <optional>
#include <string>

#include "netlink.h"
#include "record.h"

namespace sluice::uplink {

struct LinkInfo {
  int index = 0;
  std::string name, mac, kind;  ///< kind: "tun" of a TAP; empty of a device of its own
  uint32_t mtu = 0, queue_length = 0;
  bool up = false, loopback = false, promiscuous = false;
  uint32_t program = 0;       ///< id of the XDP program on it; 0: none
  uint8_t program_place = 0;  ///< who runs it: XDP_ATTACHED_*
};

Result<std::vector<LinkInfo>> links(const Netlink& netlink);
/// Nothing where there is none of that name.
Result<std::optional<LinkInfo>> find_link(const Netlink& netlink, const std::string& name);

/// All that the interface is set to.
Result<Settings> read_settings(const Netlink& netlink, const LinkInfo& link);
/// What changes while the interface is in use: addresses, routes, permanent neighbours.
Status read_addressing(const Netlink& netlink, int index, Settings* settings);

/// Takes off what the driver of a dataplane leaves that was killed: AF_XDP's program, promiscuous mode.
Status remove_driver(const Netlink& netlink, const LinkInfo& link, const Settings& settings);
/// MTU and queue length, and sysctls; the interface stays down.
Status write_settings(const Netlink& netlink, const LinkInfo& link, const Settings& settings);
/// Brings the interface up with addresses and routes. What is there already is left as it is. A TAP that `stands_in`
/// gets no neighbours, which the dataplane answers for, and keeps the routes of router advertisements, which it does
/// not hear.
Status write_addressing(const Netlink& netlink, const LinkInfo& link, const Settings& settings, bool stands_in);

Status set_up(const Netlink& netlink, int index);
Status rename_link(const Netlink& netlink, int index, const std::string& name);
Status remove_link(const Netlink& netlink, int index, const std::string& name);
/// Into the network namespace open as `netns`, under `name`.
Status move_link(const Netlink& netlink, int index, int netns, const std::string& name);

/// A persistent TAP of the kind that the dataplane takes over, with this MAC.
Status make_tap(const std::string& name, const std::string& mac);

}  // namespace sluice::uplink
