#include "l3/routing_builder.h"

namespace sluice {
namespace {

IpPrefix parse_prefix(uint8_t family, const char* text, uint8_t length) {
  IpPrefix prefix;
  prefix.address.family = family;
  inet_pton(family == 4 ? AF_INET : AF_INET6, text, prefix.address.bytes.data());
  prefix.length = length;
  return prefix;
}

IpPrefix host_prefix(const IpAddress& address) {
  return {address, address_bits(address.family)};
}

bool is_zero(const rte_ether_addr& mac) {
  return rte_is_zero_ether_addr(&mac);
}

/// RFC 4291 appendix A.
IpPrefix link_local_of(const rte_ether_addr& mac) {
  IpPrefix prefix = parse_prefix(6, "fe80::", 64);
  const uint8_t* m = mac.addr_bytes;
  const uint8_t id[8] = {static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  memcpy(prefix.address.bytes.data() + 8, id, 8);
  return prefix;
}

}  // namespace

rte_ether_addr RoutingBuilder::tunnel_mac(const IpAddress& endpoint) {
  const uint8_t* last = endpoint.bytes.data() + address_bytes(endpoint.family) - 4;
  return {{0x02, 0x53, last[0], last[1], last[2], last[3]}};
}

Status RoutingBuilder::add_ports() {
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
    port.peer_mac = config.peer_mac.value_or(identity->peer_mac);
    port.has_peer_mac = !is_zero(port.peer_mac);
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

Status RoutingBuilder::add_tunnel(const PortConfig& config, PortId id, const std::string& path) {
  if (config.local.family == 0) {
    return Error{"no-tunnel-endpoint", path + "/local", "a vxlan port needs the address that its datagrams leave from"};
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

Status RoutingBuilder::need_table(uint16_t number, const std::string& path) {
  pending_[number];
  if (pending_.size() <= kMaxRoutingTables) return {};
  return Error{"too-many-tables", path,
               "table " + std::to_string(number) + " is one more than the " + std::to_string(kMaxRoutingTables) +
                   " that a node can have"};
}

Status RoutingBuilder::add_addresses() {
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

Status RoutingBuilder::add_address(const IpPrefix& prefix, PortId id, const std::string& path) {
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
  const auto [at, fresh] = pending_[port.table].insert({key_of(network), {RouteKind::Forward, path}});
  if (!fresh) {
    return Error{"duplicate-prefix", path,
                 to_text(network) + " is on " + at->second.origin() + " already; use /" +
                     std::to_string(address_bits(family)) + " here and a route, or another table"};
  }
  at->second.first_member = static_cast<uint32_t>(members_.size());
  at->second.member_count = 1;
  members_.push_back({on_link(id), 1});
  if (family == 4 && prefix.length <= 30) add_broadcast(port.table, network, path);
  return {};
}

void RoutingBuilder::add_broadcast(uint16_t table, const IpPrefix& network, const std::string& path) {
  IpPrefix broadcast = host_prefix(network.address);
  for (uint8_t bit = network.length; bit < 32; bit++) {
    broadcast.address.bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
  }
  pending_[table].insert({key_of(broadcast), {RouteKind::Multicast, path}});
}

void RoutingBuilder::local_route(uint16_t table, const IpAddress& address, const std::string& path) {
  pending_[table][key_of(host_prefix(address))] = {RouteKind::Local, path};
}

uint32_t RoutingBuilder::on_link(PortId id) {
  NextHop hop;
  hop.port = id;
  hop.mtu = snapshot_->ports[id].mtu;
  return add_next_hop(hop);
}

Status RoutingBuilder::add_special_prefixes() {
  const std::pair<IpPrefix, RouteKind> kSpecial[] = {
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
    for (const auto& [prefix, kind] : kSpecial) table.insert({key_of(prefix), {kind}});
  }
  return {};
}

void RoutingBuilder::choose_icmp_sources() {
  for (PortL3& port : snapshot_->ports) {
    if (!port.exists) continue;
    port.icmp_source4 = icmp_source(port, 4);
    port.icmp_source6 = icmp_source(port, 6);
  }
}

const IpAddress* RoutingBuilder::find_address(const PortL3& port, uint8_t family, bool link_local) {
  for (const IpPrefix& own : port.addresses) {
    if (own.address.family == family && is_link_local(family, own.address.bytes.data()) == link_local) {
      return &own.address;
    }
  }
  return nullptr;
}

IpAddress RoutingBuilder::icmp_source(const PortL3& port, uint8_t family) const {
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

}  // namespace sluice
