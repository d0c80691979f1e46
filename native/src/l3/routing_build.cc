#include <algorithm>

#include "l3/routing_builder.h"
#include "l3/vxlan.h"

namespace sluice {
namespace {

constexpr uint32_t kMaxWeight = 65535;
constexpr uint16_t kVxlanOverhead4 = 20 + 8 + 8 + 14;
constexpr uint16_t kVxlanOverhead6 = 40 + 8 + 8 + 14;
constexpr uint16_t kLeastMtu = 68;  // RFC 791

}  // namespace

Result<std::unique_ptr<RoutingSnapshot>> RoutingBuilder::build() {
  snapshot_->entries.push_back({});  // the value of an address without a route
  pending_[0];
  for (const auto step :
       {&RoutingBuilder::add_ports, &RoutingBuilder::add_addresses, &RoutingBuilder::add_routes,
        &RoutingBuilder::add_special_prefixes, &RoutingBuilder::make_entries, &RoutingBuilder::make_fibs,
        &RoutingBuilder::resolve_underlays, &RoutingBuilder::add_static_neighbours}) {
    if (Status status = (this->*step)(); !status) return status.error();
  }
  choose_icmp_sources();
  return std::move(snapshot_);
}

uint32_t RoutingBuilder::add_next_hop(const NextHop& hop) {
  snapshot_->next_hops.push_back(hop);
  return static_cast<uint32_t>(snapshot_->next_hops.size() - 1);
}

Status RoutingBuilder::add_routes() {
  snapshot_->next_hops.reserve(snapshot_->next_hops.size() + state_.routes.size());
  for (size_t i = 0; i < state_.routes.size(); i++) {
    const RouteConfig& route = state_.routes[i];
    if (pending_.count(route.table) == 0) {
      if (Status status = need_table(route.table, route_pointer(i) + "/table"); !status) return status;
    }
    if (route.prefix.length > address_bits(route.prefix.address.family) ||
        !(network_of(route.prefix).address == route.prefix.address)) {
      return Error{"bad-prefix", route_pointer(i) + "/prefix",
                   to_text(route.prefix) + " has host bits; write " + to_text(network_of(route.prefix))};
    }
    Pending pending{RouteKind::Forward};
    pending.route = i;
    pending.first_member = static_cast<uint32_t>(members_.size());
    if (route.blackhole) pending.kind = RouteKind::Blackhole;
    if (route.local) pending.kind = RouteKind::Local;
    if (pending.kind == RouteKind::Forward) {
      if (route.next_hops.empty()) {
        return Error{"no-next-hop", route_pointer(i) + "/nextHops", "a route needs a next hop, or blackhole or local"};
      }
      for (size_t j = 0; j < route.next_hops.size(); j++) {
        Status added = add_member(route.next_hops[j], route.prefix.address.family, {i, j});
        if (!added) return added;
      }
      pending.member_count = static_cast<uint32_t>(route.next_hops.size());
    }
    if (Status status = insert_route(route, std::move(pending)); !status) return status;
  }
  return {};
}

Status RoutingBuilder::insert_route(const RouteConfig& route, Pending pending) {
  // Moves it only where it inserts it.
  const auto [at, fresh] = pending_[route.table].try_emplace(key_of(route.prefix), std::move(pending));
  if (fresh) return {};
  Pending& known = at->second;
  const bool other_route = known.route != kNoRoute;
  const bool own_address = known.kind == RouteKind::Local && pending.kind != RouteKind::Local;
  if (other_route || own_address) {
    return Error{"duplicate-prefix", route_pointer(pending.route) + "/prefix",
                 to_text(route.prefix) + " in table " + std::to_string(route.table) + " is given by " + known.origin() +
                     " already"};
  }
  known = std::move(pending);
  return {};
}

std::string RoutingBuilder::HopPlace::pointer() const {
  return route_pointer(route) + "/nextHops/" + std::to_string(hop);
}

Status RoutingBuilder::add_member(const NextHopConfig& config, uint8_t family, const HopPlace& place) {
  const auto id = ids_.find(config.port);
  if (id == ids_.end())
    return Error{"no-such-port", place.pointer() + "/port", "no port is named \"" + config.port + "\""};
  if (config.weight == 0 || config.weight > kMaxWeight) {
    return Error{"bad-weight", place.pointer() + "/weight",
                 "weight " + std::to_string(config.weight) + " is not in 1 to " + std::to_string(kMaxWeight)};
  }
  const PortL3& port = snapshot_->ports[id->second];
  NextHop hop;
  hop.port = id->second;
  hop.mtu = port.mtu;
  if (config.mac) {
    hop.has_mac = true;
    hop.mac = *config.mac;
  }
  if (port.tunnel != kNoTunnel) {
    if (Status status = fill_tunnel(config, port, place, hop); !status) return status;
  } else if (config.remote) {
    return Error{"not-a-tunnel", place.pointer() + "/remote",
                 "port \"" + config.port + "\" is no vxlan port and has no remote"};
  } else if (config.gateway) {
    if (config.gateway->family == 4 && family == 6) {
      return Error{"wrong-family", place.pointer() + "/gateway",
                   "an IPv6 route can't go by the IPv4 gateway " + to_text(*config.gateway)};
    }
    hop.gateway_family = config.gateway->family;
    memcpy(hop.gateway, config.gateway->bytes.data(), 16);
  }
  members_.push_back({add_next_hop(hop), config.weight});
  return {};
}

Status RoutingBuilder::fill_tunnel(const NextHopConfig& config, const PortL3& port, const HopPlace& place,
                                   NextHop& hop) {
  const Tunnel& tunnel = snapshot_->tunnels[port.tunnel];
  if (!config.remote) {
    return Error{"no-remote", place.pointer() + "/remote",
                 "a next hop through a vxlan port needs the remote endpoint's address"};
  }
  if (config.remote->family != tunnel.local.family) {
    return Error{"wrong-family", place.pointer() + "/remote",
                 to_text(*config.remote) + " is not of the same family as the port's local " + to_text(tunnel.local)};
  }
  hop.tunnel = port.tunnel;
  hop.remote = *config.remote;
  if (!hop.has_mac) hop.mac = tunnel_mac(hop.remote);
  hop.has_mac = true;
  vxlan_prepare(tunnel, hop);
  underlays_.push_back({static_cast<uint32_t>(snapshot_->next_hops.size()), place});
  return {};
}

Status RoutingBuilder::make_entries() {
  std::map<RouteKind, uint32_t> shared;  // entries without next hops
  for (auto& [number, table] : pending_) {
    (void)number;
    for (auto& [key, pending] : table) {
      if (pending.kind != RouteKind::Forward) {
        const auto [at, fresh] = shared.insert({pending.kind, 0});
        if (fresh) at->second = add_entry({pending.kind, false, 0, 0});
        pending.entry = at->second;
        continue;
      }
      const Member* members = &members_[pending.first_member];
      if (pending.member_count == 1) {
        pending.entry = add_entry({RouteKind::Forward, false, key.length, members[0].next_hop});
      } else {
        pending.entry = add_entry({RouteKind::Forward, true, key.length, add_buckets(members, pending.member_count)});
      }
    }
  }
  return {};
}

uint32_t RoutingBuilder::add_entry(const RouteEntry& entry) {
  snapshot_->entries.push_back(entry);
  return static_cast<uint32_t>(snapshot_->entries.size() - 1);
}

uint32_t RoutingBuilder::add_buckets(const Member* members, uint32_t count) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++) total += members[i].weight;
  const auto first = static_cast<uint32_t>(snapshot_->buckets.size());
  uint64_t below = 0;
  size_t at = 0;
  for (uint32_t bucket = 0; bucket < kEcmpBuckets; bucket++) {
    while ((below + members[at].weight) * kEcmpBuckets <= bucket * total) below += members[at++].weight;
    snapshot_->buckets.push_back(members[at].next_hop);
  }
  return first;
}

Status RoutingBuilder::resolve_underlays() {
  const RoutingSnapshot& made = *snapshot_;
  for (const auto& [index, place] : underlays_) {
    NextHop& hop = snapshot_->next_hops[index];
    const RouteEntry& route = made.lookup(0, hop.remote.family, hop.remote.bytes.data());
    hop.underlay = static_cast<uint32_t>(&route - made.entries.data());
    if (route.kind != RouteKind::Forward) continue;
    const uint16_t overhead = hop.remote.family == 4 ? kVxlanOverhead4 : kVxlanOverhead6;
    const uint32_t* members = route.spread ? &made.buckets[route.first] : &route.first;
    for (uint32_t i = 0; i < (route.spread ? kEcmpBuckets : 1); i++) {
      const NextHop& below = made.next_hops[members[i]];
      if (below.tunnel != kNoTunnel) {
        return Error{"tunnel-in-tunnel", place.pointer() + "/remote",
                     to_text(hop.remote) + " is reached only through a vxlan port (" + origin_of(hop.underlay) + ")"};
      }
      const uint16_t room = below.mtu > overhead + kLeastMtu ? below.mtu - overhead : kLeastMtu;
      hop.mtu = std::min(hop.mtu, room);
    }
  }
  return {};
}

std::string RoutingBuilder::origin_of(uint32_t entry) const {
  for (const auto& [key, pending] : pending_.at(0)) {
    if (pending.entry == entry) return pending.origin();
  }
  return {};
}

Status RoutingBuilder::make_fibs() {
  for (const auto& [number, table] : pending_) {
    std::vector<FibRoute> routes;
    for (const auto& [key, pending] : table) routes.push_back({{{key.family, key.bytes}, key.length}, pending.entry});
    auto fib4 = number == 0 ? Fib4::build(routes, FibKind::Direct, spare_) : Fib4::build(routes, FibKind::Trie);
    if (!fib4) return fib4.error();
    snapshot_->tables.push_back({number, std::move(fib4.value()), PrefixTrie(routes, 6)});
  }
  return {};
}

Status RoutingBuilder::add_static_neighbours() {
  if (state_.neighbours.size() > kMaxStaticNeighbours) {
    return Error{"too-many-neighbours", "/neighbours",
                 std::to_string(state_.neighbours.size()) + " static neighbours are more than the " +
                     std::to_string(kMaxStaticNeighbours) + " that a node can have"};
  }
  for (size_t i = 0; i < state_.neighbours.size(); i++) {
    const NeighbourConfig& config = state_.neighbours[i];
    const auto id = ids_.find(config.port);
    if (id == ids_.end()) {
      return Error{"no-such-port", "/neighbours/" + std::to_string(i) + "/port",
                   "no port is named \"" + config.port + "\""};
    }
    snapshot_->static_neighbours.push_back({id->second, config.address, config.mac});
  }
  return {};
}

Result<std::unique_ptr<RoutingSnapshot>> build_routing(const DesiredState& state, const ResolvePort& resolve,
                                                       std::shared_ptr<SpareFib> spare) {
  return RoutingBuilder(state, resolve, std::move(spare)).build();
}

}  // namespace sluice
