#include <algorithm>
#include <map>
#include <set>

#include "l3/routing.h"

namespace sluice {
namespace {

constexpr uint32_t kMaxWeight = 65535;
constexpr uint16_t kVxlanOverhead4 = 20 + 8 + 8 + 14;
constexpr uint16_t kVxlanOverhead6 = 40 + 8 + 8 + 14;
constexpr uint16_t kLeastMtu = 68;  // RFC 791

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

struct Pending {
  RouteKind kind;
  std::string origin;  ///< JSON pointer, or empty for what is built in
  std::vector<Member> members;
  uint32_t entry = 0;
};

using PendingTable = std::map<PrefixKey, Pending>;

IpPrefix parse_prefix(uint8_t family, const char* text, uint8_t length) {
  IpPrefix prefix;
  prefix.address.family = family;
  inet_pton(family == 4 ? AF_INET : AF_INET6, text, prefix.address.bytes.data());
  prefix.length = length;
  return prefix;
}

PrefixKey key_of(const IpPrefix& prefix) {
  return {prefix.address.family, prefix.length, prefix.address.bytes};
}

IpPrefix prefix_of(const PrefixKey& key) {
  return {{key.family, key.bytes}, key.length};
}

IpPrefix host_prefix(const IpAddress& address) {
  return {address, address_bits(address.family)};
}

bool is_zero(const rte_ether_addr& mac) {
  return rte_is_zero_ether_addr(&mac);
}

rte_ether_addr tunnel_mac(const IpAddress& endpoint) {
  const uint8_t* last = endpoint.bytes.data() + address_bytes(endpoint.family) - 4;
  return {{0x02, 0x53, last[0], last[1], last[2], last[3]}};
}

/// RFC 4291 appendix A.
IpPrefix link_local_of(const rte_ether_addr& mac) {
  IpPrefix prefix = parse_prefix(6, "fe80::", 64);
  const uint8_t* m = mac.addr_bytes;
  const uint8_t id[8] = {static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  memcpy(prefix.address.bytes.data() + 8, id, 8);
  return prefix;
}

class Builder {
 public:
  Builder(const DesiredState& state, const ResolvePort& resolve) : state_(state), resolve_(resolve) {}

  Result<std::unique_ptr<RoutingSnapshot>> build() {
    snapshot_->entries.push_back({});  // the value of an address without a route
    pending_[0];
    for (const auto step :
         {&Builder::add_ports, &Builder::add_addresses, &Builder::add_routes, &Builder::add_special_prefixes,
          &Builder::make_entries, &Builder::resolve_underlays, &Builder::make_fibs, &Builder::add_static_neighbours}) {
      if (Status status = (this->*step)(); !status) return status.error();
    }
    choose_icmp_sources();
    return std::move(snapshot_);
  }

 private:
  Status add_ports() {
    for (size_t i = 0; i < state_.ports.size(); i++) {
      const PortConfig& config = state_.ports[i];
      const std::string path = "/ports/" + std::to_string(i);
      const auto identity = resolve_(config.name);
      if (!identity) return Error{"no-such-port", path + "/name", "port \"" + config.name + "\" is not open"};
      if (identity->id >= kMaxPorts) {
        return Error{"too-many-ports", path,
                     "port number " + std::to_string(identity->id) + " is past the limit of " +
                         std::to_string(kMaxPorts) + " ports"};
      }
      if (identity->id >= snapshot_->ports.size()) snapshot_->ports.resize(identity->id + 1u);
      PortL3& port = snapshot_->ports[identity->id];
      if (port.exists) return Error{"duplicate-port", path + "/name", "port \"" + config.name + "\" is there twice"};
      port.exists = true;
      port.proxy = config.proxy;
      port.host = config.host;
      port.table = config.table;
      port.mtu = identity->mtu;
      port.mac = identity->mac;
      if (config.peer_mac) {
        port.has_peer_mac = true;
        port.peer_mac = *config.peer_mac;
      }
      ids_[config.name] = identity->id;
      if (config.host) {
        if (snapshot_->host_port != kNoPort) {
          return Error{"two-host-ports", path + "/host", "another port is the host's already; one can be"};
        }
        snapshot_->host_port = identity->id;
      }
      if (config.kind == PortKind::Vxlan) {
        if (Status status = add_tunnel(config, identity->id, path); !status) return status;
      }
      if (Status status = need_table(config.table, path + "/table"); !status) return status;
    }
    return {};
  }

  Status add_tunnel(const PortConfig& config, PortId id, const std::string& path) {
    if (config.local.family == 0) {
      return Error{"no-tunnel-endpoint", path + "/local",
                   "a vxlan port needs the address that its datagrams leave from"};
    }
    PortL3& port = snapshot_->ports[id];
    if (is_zero(port.mac)) port.mac = tunnel_mac(config.local);
    for (const Tunnel& other : snapshot_->tunnels) {
      if (other.vni == config.vni && other.udp_port == config.udp_port && other.local == config.local) {
        return Error{"duplicate-tunnel", path + "/vni",
                     "another port has VNI " + std::to_string(config.vni) + " at " + to_text(config.local)};
      }
    }
    port.tunnel = static_cast<uint32_t>(snapshot_->tunnels.size());
    snapshot_->tunnels.push_back({id, config.vni, config.local, config.udp_port, port.mac});
    return {};
  }

  Status need_table(uint16_t number, const std::string& path) {
    pending_[number];
    if (pending_.size() <= kMaxRoutingTables) return {};
    return Error{"too-many-tables", path,
                 "table " + std::to_string(number) + " is one more than the " + std::to_string(kMaxRoutingTables) +
                     " that a node can have"};
  }

  Status add_addresses() {
    for (size_t i = 0; i < state_.ports.size(); i++) {
      const PortConfig& config = state_.ports[i];
      const PortId id = ids_[config.name];
      PortL3& port = snapshot_->ports[id];
      for (size_t j = 0; j < config.addresses.size(); j++) {
        const std::string path = "/ports/" + std::to_string(i) + "/addresses/" + std::to_string(j);
        if (Status status = add_address(config.addresses[j], id, path); !status) return status;
      }
      if (port.tunnel == kNoTunnel) {
        port.addresses.push_back(link_local_of(port.mac));
      } else {
        local_route(0, snapshot_->tunnels[port.tunnel].local, "/ports/" + std::to_string(i) + "/local");
      }
    }
    return {};
  }

  Status add_address(const IpPrefix& prefix, PortId id, const std::string& path) {
    const uint8_t family = prefix.address.family;
    const uint8_t* bytes = prefix.address.bytes.data();
    if (prefix.length > address_bits(family) || is_multicast(family, bytes) || is_unspecified(family, bytes)) {
      return Error{"bad-address", path, to_text(prefix) + " can be no port's address"};
    }
    PortL3& port = snapshot_->ports[id];
    port.addresses.push_back(prefix);
    if (family == 6 && is_link_local(6, bytes)) return {};
    local_route(port.table, prefix.address, path);
    if (is_link_local(family, bytes) || prefix.length == address_bits(family) || port.tunnel != kNoTunnel) return {};

    const IpPrefix network = network_of(prefix);
    const auto [at, fresh] = pending_[port.table].insert({key_of(network), {RouteKind::Forward, path, {}, 0}});
    if (!fresh) {
      return Error{"duplicate-prefix", path,
                   to_text(network) + " is on " + at->second.origin + " already; use /" +
                       std::to_string(address_bits(family)) + " here and a route, or another table"};
    }
    at->second.members.push_back({on_link(id), 1});
    if (family == 4 && prefix.length <= 30) add_broadcast(port.table, network, path);
    return {};
  }

  /// RFC 2644: directed broadcasts are not forwarded.
  void add_broadcast(uint16_t table, const IpPrefix& network, const std::string& path) {
    IpPrefix broadcast = host_prefix(network.address);
    for (uint8_t bit = network.length; bit < 32; bit++) {
      broadcast.address.bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
    }
    pending_[table].insert({key_of(broadcast), {RouteKind::Multicast, path, {}, 0}});
  }

  void local_route(uint16_t table, const IpAddress& address, const std::string& path) {
    pending_[table][key_of(host_prefix(address))] = {RouteKind::Local, path, {}, 0};
  }

  uint32_t on_link(PortId id) {
    NextHop hop;
    hop.port = id;
    hop.mtu = snapshot_->ports[id].mtu;
    return add_next_hop(hop);
  }

  uint32_t add_next_hop(const NextHop& hop) {
    snapshot_->next_hops.push_back(hop);
    return static_cast<uint32_t>(snapshot_->next_hops.size() - 1);
  }

  Status add_routes() {
    for (size_t i = 0; i < state_.routes.size(); i++) {
      const RouteConfig& route = state_.routes[i];
      const std::string path = "/routes/" + std::to_string(i);
      if (Status status = need_table(route.table, path + "/table"); !status) return status;
      if (route.prefix.length > address_bits(route.prefix.address.family) ||
          !(network_of(route.prefix).address == route.prefix.address)) {
        return Error{"bad-prefix", path + "/prefix",
                     to_text(route.prefix) + " has host bits; write " + to_text(network_of(route.prefix))};
      }
      Pending pending{RouteKind::Forward, path, {}, 0};
      if (route.blackhole) pending.kind = RouteKind::Blackhole;
      if (route.local) pending.kind = RouteKind::Local;
      if (pending.kind == RouteKind::Forward) {
        if (route.next_hops.empty()) {
          return Error{"no-next-hop", path + "/nextHops", "a route needs a next hop, or blackhole or local"};
        }
        for (size_t j = 0; j < route.next_hops.size(); j++) {
          auto member =
              add_member(route.next_hops[j], route.prefix.address.family, path + "/nextHops/" + std::to_string(j));
          if (!member) return member.error();
          pending.members.push_back(member.value());
        }
      }
      if (Status status = insert_route(route, pending, path); !status) return status;
    }
    return {};
  }

  /// A route may stand in for a connected prefix; not for the node's own address, nor for another route.
  Status insert_route(const RouteConfig& route, const Pending& pending, const std::string& path) {
    PendingTable& table = pending_[route.table];
    const PrefixKey key = key_of(route.prefix);
    const auto at = table.find(key);
    if (at != table.end()) {
      const bool other_route = at->second.origin.rfind("/routes/", 0) == 0;
      const bool own_address = at->second.kind == RouteKind::Local && pending.kind != RouteKind::Local;
      if (other_route || own_address) {
        return Error{"duplicate-prefix", path + "/prefix",
                     to_text(route.prefix) + " in table " + std::to_string(route.table) + " is given by " +
                         at->second.origin + " already"};
      }
    }
    table[key] = pending;
    return {};
  }

  Result<Member> add_member(const NextHopConfig& config, uint8_t family, const std::string& path) {
    const auto id = ids_.find(config.port);
    if (id == ids_.end()) return Error{"no-such-port", path + "/port", "no port is named \"" + config.port + "\""};
    if (config.weight == 0 || config.weight > kMaxWeight) {
      return Error{"bad-weight", path + "/weight",
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
      if (Status status = fill_tunnel(config, port, path, hop); !status) return status.error();
    } else if (config.remote) {
      return Error{"not-a-tunnel", path + "/remote", "port \"" + config.port + "\" is no vxlan port and has no remote"};
    } else if (config.gateway) {
      if (config.gateway->family == 4 && family == 6) {
        return Error{"wrong-family", path + "/gateway",
                     "an IPv6 route can't go by the IPv4 gateway " + to_text(*config.gateway)};
      }
      hop.gateway_family = config.gateway->family;
      memcpy(hop.gateway, config.gateway->bytes.data(), 16);
    }
    return Member{add_next_hop(hop), config.weight};
  }

  Status fill_tunnel(const NextHopConfig& config, const PortL3& port, const std::string& path, NextHop& hop) {
    const Tunnel& tunnel = snapshot_->tunnels[port.tunnel];
    if (!config.remote) {
      return Error{"no-remote", path + "/remote",
                   "a next hop through a vxlan port needs the remote endpoint's address"};
    }
    if (config.remote->family != tunnel.local.family) {
      return Error{"wrong-family", path + "/remote",
                   to_text(*config.remote) + " is not of the same family as the port's local " + to_text(tunnel.local)};
    }
    hop.tunnel = port.tunnel;
    hop.remote = *config.remote;
    if (!hop.has_mac) hop.mac = tunnel_mac(hop.remote);
    hop.has_mac = true;
    underlays_.push_back({static_cast<uint32_t>(snapshot_->next_hops.size()), path});
    return {};
  }

  /// What no route may lead to by accident; a configured prefix of the same or greater length goes before these.
  Status add_special_prefixes() {
    static const std::pair<IpPrefix, RouteKind> kSpecial[] = {
        {parse_prefix(4, "0.0.0.0", 8), RouteKind::Martian},
        {parse_prefix(4, "127.0.0.0", 8), RouteKind::Martian},
        {parse_prefix(4, "240.0.0.0", 4), RouteKind::Martian},
        {parse_prefix(4, "169.254.0.0", 16), RouteKind::LinkLocal},
        {parse_prefix(4, "224.0.0.0", 4), RouteKind::Multicast},
        {parse_prefix(4, "255.255.255.255", 32), RouteKind::Multicast},
        {parse_prefix(6, "::", 128), RouteKind::Martian},
        {parse_prefix(6, "::1", 128), RouteKind::Martian},
        {parse_prefix(6, "fe80::", 10), RouteKind::LinkLocal},
        {parse_prefix(6, "ff00::", 8), RouteKind::Multicast},
    };
    for (auto& [number, table] : pending_) {
      (void)number;
      for (const auto& [prefix, kind] : kSpecial) table.insert({key_of(prefix), {kind, "", {}, 0}});
    }
    return {};
  }

  Status make_entries() {
    std::map<RouteKind, uint32_t> shared;  // entries without next hops
    for (auto& [number, table] : pending_) {
      (void)number;
      for (auto& [key, pending] : table) {
        (void)key;
        if (pending.kind != RouteKind::Forward) {
          const auto [at, fresh] = shared.insert({pending.kind, 0});
          if (fresh) at->second = add_entry({pending.kind, false, 0});
          pending.entry = at->second;
        } else if (pending.members.size() == 1) {
          pending.entry = add_entry({RouteKind::Forward, false, pending.members[0].next_hop});
        } else {
          pending.entry = add_entry({RouteKind::Forward, true, add_buckets(pending.members)});
        }
      }
    }
    return {};
  }

  uint32_t add_entry(const RouteEntry& entry) {
    snapshot_->entries.push_back(entry);
    return static_cast<uint32_t>(snapshot_->entries.size() - 1);
  }

  /// Shares the buckets out by weight: bucket b goes to the member in whose share of the total weight it lies.
  uint32_t add_buckets(const std::vector<Member>& members) {
    uint64_t total = 0;
    for (const Member& member : members) total += member.weight;
    const auto first = static_cast<uint32_t>(snapshot_->buckets.size());
    uint64_t below = 0;
    size_t at = 0;
    for (uint32_t bucket = 0; bucket < kEcmpBuckets; bucket++) {
      while ((below + members[at].weight) * kEcmpBuckets <= bucket * total) below += members[at++].weight;
      snapshot_->buckets.push_back(members[at].next_hop);
    }
    return first;
  }

  const Pending* longest_match(const PendingTable& table, const IpAddress& address) const {
    for (int length = address_bits(address.family); length >= 0; length--) {
      const auto at = table.find(key_of(network_of({address, static_cast<uint8_t>(length)})));
      if (at != table.end()) return &at->second;
    }
    return nullptr;
  }

  /// The way to each tunnel's far end is looked up once, here, in table 0. It may not be another tunnel's.
  Status resolve_underlays() {
    for (const auto& [index, path] : underlays_) {
      NextHop& hop = snapshot_->next_hops[index];
      const Pending* route = longest_match(pending_[0], hop.remote);
      if (route == nullptr) continue;
      hop.underlay = route->entry;
      const uint16_t overhead = hop.remote.family == 4 ? kVxlanOverhead4 : kVxlanOverhead6;
      for (const Member& member : route->members) {
        const NextHop& below = snapshot_->next_hops[member.next_hop];
        if (below.tunnel != kNoTunnel) {
          return Error{"tunnel-in-tunnel", path + "/remote",
                       to_text(hop.remote) + " is reached only through a vxlan port (" + route->origin + ")"};
        }
        const uint16_t room = below.mtu > overhead + kLeastMtu ? below.mtu - overhead : kLeastMtu;
        hop.mtu = std::min(hop.mtu, room);
      }
    }
    return {};
  }

  Status make_fibs() {
    for (const auto& [number, table] : pending_) {
      std::vector<FibRoute> routes;
      for (const auto& [key, pending] : table) routes.push_back({prefix_of(key), pending.entry});
      auto fib4 = Fib4::build(routes, number == 0 ? FibKind::Direct : FibKind::Trie);
      if (!fib4) return fib4.error();
      snapshot_->tables.push_back({number, std::move(fib4.value()), PrefixTrie(routes, 6)});
    }
    return {};
  }

  Status add_static_neighbours() {
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

  /// An own global address of the port; else of any port in the same table; else of any; else a link-local one.
  void choose_icmp_sources() {
    for (PortL3& port : snapshot_->ports) {
      if (!port.exists) continue;
      port.icmp_source4 = icmp_source(port, 4);
      port.icmp_source6 = icmp_source(port, 6);
    }
  }

  static const IpAddress* find_address(const PortL3& port, uint8_t family, bool link_local) {
    for (const IpPrefix& own : port.addresses) {
      if (own.address.family == family && is_link_local(family, own.address.bytes.data()) == link_local) {
        return &own.address;
      }
    }
    return nullptr;
  }

  IpAddress icmp_source(const PortL3& port, uint8_t family) const {
    if (const IpAddress* own = find_address(port, family, false)) return *own;
    for (const bool same_table : {true, false}) {
      for (const PortL3& other : snapshot_->ports) {
        if (!other.exists || (other.table == port.table) != same_table) continue;
        if (const IpAddress* address = find_address(other, family, false)) return *address;
      }
    }
    for (const Tunnel& tunnel : snapshot_->tunnels) {
      if (tunnel.local.family == family) return tunnel.local;
    }
    if (const IpAddress* own = find_address(port, family, true)) return *own;
    return {};
  }

  const DesiredState& state_;
  const ResolvePort& resolve_;
  std::unique_ptr<RoutingSnapshot> snapshot_ = std::make_unique<RoutingSnapshot>();
  std::map<std::string, PortId> ids_;
  std::map<uint16_t, PendingTable> pending_;
  std::vector<std::pair<uint32_t, std::string>>
      underlays_;  ///< next hops through tunnels, and where they were asked for
};

}  // namespace

Result<std::unique_ptr<RoutingSnapshot>> build_routing(const DesiredState& state, const ResolvePort& resolve) {
  return Builder(state, resolve).build();
}

}  // namespace sluice
