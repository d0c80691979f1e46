#pragma once

#include <rte_ether.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sluice {

/// An IPv4 or IPv6 address; IPv4 in the first 4 bytes, network byte order, the rest zero.
struct IpAddress {
  uint8_t family = 0;  ///< 4 or 6
  std::array<uint8_t, 16> bytes{};
  bool operator==(const IpAddress& other) const { return family == other.family && bytes == other.bytes; }
};

struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;
  bool operator==(const IpPrefix& other) const { return address == other.address && length == other.length; }
};

bool same_mac(const std::optional<rte_ether_addr>& a, const std::optional<rte_ether_addr>& b);

enum class PortKind { Tap, AfPacket, AfXdp, Memif, Pcap, Null, Ring, Inject, Dpdk, Vxlan, Veth };

/// One port as the node's file asks for it. Fields that a kind does not use are empty.
struct PortConfig {
  std::string name;
  PortKind kind = PortKind::Tap;
  std::string device;   ///< tap: its name inside the namespace; af_packet, af_xdp: the kernel interface to use
  std::string netns;    ///< tap: path of the network namespace to make it in; empty: the dataplane's own
  std::string devargs;  ///< dpdk: the whole devargs string; memif: its socket; pcap: see pcap_rx, pcap_tx
  std::string pcap_rx, pcap_tx;
  uint32_t memif_id = 0;
  bool memif_server = true;
  std::optional<rte_ether_addr> mac;       ///< the dataplane's side
  std::optional<rte_ether_addr> peer_mac;  ///< tap: the MAC that the interface in the namespace gets
  uint16_t mtu = 1500;
  std::vector<IpPrefix> addresses;       ///< the dataplane's own on this port; it answers ARP, ND and echo for them
  std::vector<IpPrefix> peer_addresses;  ///< tap: given to the interface in the namespace
  bool peer_kept = false;             ///< tap: the kernel's side is set up by others: only peer_routes are added to it
  bool peer_default_route = false;    ///< tap: default routes in the namespace by the port's first addresses
  std::vector<IpPrefix> peer_routes;  ///< tap: likewise, routes to these
  bool proxy = false;                 ///< answer ARP and ND for every address (pods)
  bool host = false;                  ///< the host stack: takes what is for the node itself
  uint32_t vni = 0;                   ///< vxlan
  IpAddress local;                    ///< vxlan: the outer source address
  uint16_t udp_port = 4789;           ///< vxlan
  uint16_t table = 0;                 ///< routing table for what comes in here
};

struct NextHopConfig {
  std::string port;
  std::optional<IpAddress> gateway;   ///< empty: the destination itself is the neighbour
  std::optional<IpAddress> remote;    ///< vxlan port: the outer destination
  std::optional<rte_ether_addr> mac;  ///< vxlan port: inner destination MAC; others: a static neighbour
  uint32_t weight = 1;
};

struct RouteConfig {
  uint16_t table = 0;
  IpPrefix prefix;
  bool blackhole = false;
  bool local = false;  ///< deliver to the node itself
  std::vector<NextHopConfig> next_hops;
};

struct NeighbourConfig {
  std::string port;
  IpAddress address;
  rte_ether_addr mac;
};

enum class FailureStrategy { FailClosed, FailOpen, Reload };

/// Of a plugin's configuration. It can be megabytes, and the states and stages that have it in common share it.
class ConfigText {
 public:
  ConfigText() = default;
  ConfigText(std::string text) : text_(std::make_shared<const std::string>(std::move(text))) {}
  ConfigText(const char* text) : ConfigText(std::string(text)) {}

  const std::string& text() const { return *text_; }
  bool empty() const { return text_->empty(); }
  bool operator==(const ConfigText& other) const { return text_ == other.text_ || *text_ == *other.text_; }
  bool operator!=(const ConfigText& other) const { return !(*this == other); }

 private:
  std::shared_ptr<const std::string> text_ = std::make_shared<const std::string>();
};

struct PluginConfig {
  std::string name;
  std::string digest;  ///< sha-256 hex of the module, added before by add_module
  ConfigText config;   ///< UTF-8 JSON handed to the module's configure; empty: configure is not called
  FailureStrategy failure = FailureStrategy::FailClosed;
  uint32_t budget_us = 10000;      ///< longest that one call may take
  std::vector<std::string> scope;  ///< port names; empty: every packet. A scoped stage has a window of its own
  bool reset_flow_state = false;   ///< drop old flow slots when their schema differs and there is no migrate
};

struct ConntrackConfig {
  uint32_t max_flows = 262144;
  std::string file;  ///< where the flow records live; empty: anonymous memory, gone with the process
  /// Seconds by protocol and state; see conntrack/timeouts.h for the names and defaults.
  std::vector<std::pair<std::string, uint32_t>> timeouts;
};

/// All that a node should be. apply() makes it so, or changes nothing.
struct DesiredState {
  std::vector<PortConfig> ports;
  std::vector<RouteConfig> routes;
  std::vector<NeighbourConfig> neighbours;
  std::vector<PluginConfig> plugins;
  /// Plugin names in the order they run, by abi::Hook number.
  std::array<std::vector<std::string>, 5> pipeline;
  ConntrackConfig conntrack;
};

/// True when routing, which is made of ports, routes and neighbours, is the same for both, where the ports are.
bool same_routing(const DesiredState& a, const DesiredState& b);

/// Reads the JSON text that host/src/dataplane/state-change.ts writes: all of a state, or, with "base" (which must be
/// the number `generation`), what changes in `base`. Of a change, absent parts stay; a list is either an array, which
/// is all of it, or {"set": [...], "remove": [...]}, where what is set takes the place of what has the same key or
/// comes last. A plugin's "config" is the number of its text in `configs`. Errors carry a JSON pointer into the whole
/// state.
Result<DesiredState> read_state(const std::string& text, std::vector<std::string> configs, const DesiredState& base,
                                uint64_t generation);

/// All of a state.
Result<DesiredState> parse_desired_state(const std::string& text);

}  // namespace sluice
