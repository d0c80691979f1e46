#pragma once

#include <rte_ether.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "core/error.h"
#include "core/packet.h"
#include "l3/address.h"
#include "l3/fib.h"

namespace sluice {

constexpr size_t kMaxRoutingTables = 16;
constexpr size_t kMaxStaticNeighbours = 4096;
constexpr uint32_t kNoTunnel = UINT32_MAX;

enum class RouteKind : uint8_t { NoRoute, Forward, Local, Blackhole, LinkLocal, Multicast, Martian };

/// What a FIB's value is the index of.
struct RouteEntry {
  RouteKind kind = RouteKind::NoRoute;
  bool spread = false;  ///< several next hops: `first` is the start of kEcmpBuckets buckets, else a next hop
  uint8_t length = 0;   ///< Forward: of the prefix that it is the entry of
  uint32_t first = 0;
};
constexpr uint32_t kEcmpBucketBits = 8;
constexpr uint32_t kEcmpBuckets = 1u << kEcmpBucketBits;

struct NextHop {
  PortId port = kNoPort;
  uint16_t mtu = 0;            ///< largest L3 packet that leaves this way unfragmented, tunnel headers taken off
  uint8_t gateway_family = 0;  ///< 0: the destination itself is the neighbour
  bool has_mac = false;        ///< `mac` is the neighbour's (for a tunnel: the inner destination), no resolution
  rte_ether_addr mac{};
  uint8_t gateway[16] = {};
  uint32_t tunnel = kNoTunnel;  ///< index in tunnels
  uint32_t underlay = 0;        ///< tunnel: index in entries of the route to `remote`
  IpAddress remote;
  alignas(8) std::array<uint8_t, 72> wrapping{};  ///< tunnel: what goes before a packet, see l3/vxlan.h
};

/// A VXLAN port. Its inner MAC addresses are its own choice where the configuration gives none: 02:53 and the last four
/// bytes of the endpoint's address, so that both ends agree without asking.
struct Tunnel {
  PortId port = kNoPort;
  uint32_t vni = 0;
  IpAddress local;
  uint16_t udp_port = 4789;  ///< host byte order
  rte_ether_addr mac{};
};

/// What L3 needs to know of a port.
struct PortL3 {
  bool exists = false;
  bool proxy = false;
  bool host = false;
  uint16_t table = 0;
  uint16_t mtu = 1500;
  rte_ether_addr mac{};
  bool has_peer_mac = false;
  rte_ether_addr peer_mac{};
  uint32_t tunnel = kNoTunnel;
  std::vector<IpPrefix>
      addresses;  ///< the node's own here, host bits kept; each Ethernet port has a link-local IPv6 one
  /// Source of ICMP errors about packets that came in here: an own global address where there is one.
  IpAddress icmp_source4, icmp_source6;
};

struct StaticNeighbour {
  PortId port;
  IpAddress address;
  rte_ether_addr mac;
};

/// A port as the node knows it once it is open.
struct PortIdentity {
  PortId id;
  rte_ether_addr mac;  ///< all zeroes: a VXLAN port without one of its own
  uint16_t mtu;
  rte_ether_addr peer_mac{};  ///< of the kernel's side of a TAP; all zeroes where there is none
};
/// By the name in the node's file; nothing when there is no such port.
using ResolvePort = std::function<std::optional<PortIdentity>(const std::string& name)>;

/// All that routing reads. Immutable; made by build_routing() and published by pointer. The owner keeps it until every
/// worker has passed a quiescent state.
struct RoutingSnapshot {
  struct Table {
    uint16_t number;
    Fib4 fib4;
    PrefixTrie fib6;
  };
  std::vector<Table> tables;  ///< table 0 is first and always there
  std::vector<RouteEntry> entries;
  std::vector<uint32_t> buckets;  ///< next hop numbers
  std::vector<NextHop> next_hops;
  std::vector<Tunnel> tunnels;
  std::vector<PortL3> ports;  ///< by PortId
  std::vector<StaticNeighbour> static_neighbours;
  PortId host_port = kNoPort;

  const PortL3* port(PortId id) const { return id < ports.size() && ports[id].exists ? &ports[id] : nullptr; }
  const Table* table(uint16_t number) const;
  /// One lookup, off the bulk path. `address` is in network byte order.
  const RouteEntry& lookup(uint16_t table, uint8_t family, const uint8_t* address) const;
  /// The next hop for a flow: the same hash takes the same way.
  uint32_t select(const RouteEntry& entry, uint32_t hash) const {
    if (!entry.spread) return entry.first;
    return buckets[entry.first + (hash * 0x9e3779b1u >> (32 - kEcmpBucketBits))];
  }
  /// An address of the node on this very port.
  bool owns(PortId port, uint8_t family, const uint8_t* address) const;
};

/// Builds the snapshot: the state's routes, and those that its addresses imply (a connected prefix on-link, each own
/// address local, tunnel endpoints local). Errors carry the JSON pointer of what is wrong. `spare`: see Fib4::build().
Result<std::unique_ptr<RoutingSnapshot>> build_routing(const DesiredState& state, const ResolvePort& resolve,
                                                       std::shared_ptr<SpareFib> spare = nullptr);

}  // namespace sluice
