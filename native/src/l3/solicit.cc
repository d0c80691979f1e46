#include "l3/solicit.h"

namespace sluice {

const IpAddress* own_address_towards(const PortL3& port, uint8_t family, const uint8_t* target, bool link_local) {
  const IpAddress* other = nullptr;
  for (const IpPrefix& own : port.addresses) {
    if (own.address.family != family) continue;
    const uint8_t* bytes = own.address.bytes.data();
    if (in_prefix(target, bytes, own.length)) return &own.address;
    if (other == nullptr ||
        (is_link_local(family, bytes) == link_local && is_link_local(family, other->bytes.data()) != link_local)) {
      other = &own.address;
    }
  }
  return other;
}

bool may_proxy(const WorkerContext& ctx, PortId in_port, uint8_t family, const uint8_t* target) {
  const PortL3* port = ctx.routing->port(in_port);
  if (port == nullptr || !port->proxy || is_multicast(family, target) || is_unspecified(family, target)) return false;
  const RouteEntry& entry = ctx.routing->lookup(port->table, family, target);
  if (entry.kind != RouteKind::Forward) return true;
  return ctx.routing->next_hops[ctx.routing->select(entry, 0)].port != in_port;
}

void send_solicitation(WorkerContext& ctx, const NeighbourKey& target, const rte_ether_addr* known) {
  const PortL3* port = ctx.routing->port(target.port);
  if (port == nullptr) return;
  if (target.family == 4) {
    send_arp_request(ctx, *port, target, known);
  } else {
    send_neighbour_solicitation(ctx, *port, target, known);
  }
}

}  // namespace sluice
