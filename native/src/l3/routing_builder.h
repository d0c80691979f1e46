#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "l3/routing.h"

namespace sluice {

/// Builds one RoutingSnapshot from a desired state: ports and what their addresses imply first, then the configured
/// routes, then the FIBs over both. Control thread only.
class RoutingBuilder {
 public:
  RoutingBuilder(const DesiredState& state, const ResolvePort& resolve, std::shared_ptr<SpareFib> spare)
      : state_(state), resolve_(resolve), spare_(std::move(spare)) {}

  Result<std::unique_ptr<RoutingSnapshot>> build();

 private:
  struct PrefixKey {
    uint8_t family, length;
    std::array<uint8_t, 16> bytes;
    bool operator<(const PrefixKey& other) const {
      return std::tie(family, length, bytes) < std::tie(other.family, other.length, other.bytes);
    }
  };

  struct Member {
    uint32_t next_hop;
    uint32_t weight;
  };

  static constexpr size_t kNoRoute = SIZE_MAX;

  /// A next hop in the state. Its JSON pointer is made for errors only: a node has thousands.
  struct HopPlace {
    size_t route, hop;
    std::string pointer() const;
  };

  /// A route before it has an entry.
  struct Pending {
    RouteKind kind;
    std::string port_origin = {};  ///< JSON pointer of what implies it, or empty for what is built in
    size_t route = kNoRoute;       ///< index of the configured one
    uint32_t first_member = 0;     ///< in members_
    uint32_t member_count = 0;
    uint32_t entry = 0;

    /// JSON pointer.
    std::string origin() const { return route == kNoRoute ? port_origin : route_pointer(route); }
  };

  static std::string route_pointer(size_t route) { return "/routes/" + std::to_string(route); }

  using PendingTable = std::map<PrefixKey, Pending>;

  static PrefixKey key_of(const IpPrefix& prefix) {
    return {prefix.address.family, prefix.length, prefix.address.bytes};
  }

  /// The inner MAC of an endpoint that has none of its own, see Tunnel.
  static rte_ether_addr tunnel_mac(const IpAddress& endpoint);

  Status add_ports();
  Status add_tunnel(const PortConfig& config, PortId id, const std::string& path);
  Status need_table(uint16_t number, const std::string& path);
  Status add_addresses();
  Status add_address(const IpPrefix& prefix, PortId id, const std::string& path);
  /// RFC 2644: directed broadcasts are not forwarded.
  void add_broadcast(uint16_t table, const IpPrefix& network, const std::string& path);
  void local_route(uint16_t table, const IpAddress& address, const std::string& path);
  uint32_t on_link(PortId id);
  uint32_t add_next_hop(const NextHop& hop);
  Status add_routes();
  /// A route may stand in for a connected prefix; not for the node's own address, nor for another route.
  Status insert_route(const RouteConfig& route, Pending pending);
  Status add_member(const NextHopConfig& config, uint8_t family, const HopPlace& place);
  Status fill_tunnel(const NextHopConfig& config, const PortL3& port, const HopPlace& place, NextHop& hop);
  /// What no route may lead to by accident; a configured prefix of the same or greater length goes before these.
  Status add_special_prefixes();
  Status make_entries();
  uint32_t add_entry(const RouteEntry& entry);
  /// Shares the buckets out by weight: bucket b goes to the member in whose share of the total weight it lies.
  uint32_t add_buckets(const Member* members, uint32_t count);
  Status make_fibs();
  /// The way to each tunnel's far end is looked up once, here, in table 0. It may not be another tunnel's.
  Status resolve_underlays();
  /// Of an entry that a route of table 0 has to itself.
  std::string origin_of(uint32_t entry) const;
  Status add_static_neighbours();
  /// An own global address of the port; else of any port in the same table; else of any; else a link-local one.
  void choose_icmp_sources();
  static const IpAddress* find_address(const PortL3& port, uint8_t family, bool link_local);
  IpAddress icmp_source(const PortL3& port, uint8_t family) const;

  const DesiredState& state_;
  const ResolvePort& resolve_;
  const std::shared_ptr<SpareFib> spare_;
  std::unique_ptr<RoutingSnapshot> snapshot_ = std::make_unique<RoutingSnapshot>();
  std::map<std::string, PortId> ids_;
  std::map<uint16_t, PendingTable> pending_;
  /// Next hops through tunnels, and where they were asked for.
  std::vector<std::pair<uint32_t, HopPlace>> underlays_;
  std::vector<Member> members_;
};

}  // namespace sluice
