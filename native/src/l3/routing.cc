#include "l3/routing.h"

namespace sluice {

const RoutingSnapshot::Table* RoutingSnapshot::table(uint16_t number) const {
  for (const Table& table : tables) {
    if (table.number == number) return &table;
  }
  return nullptr;
}

const RouteEntry& RoutingSnapshot::lookup(uint16_t number, uint8_t family, const uint8_t* address) const {
  const Table* found = table(number);
  if (found == nullptr) return entries[0];
  uint64_t value = 0;
  if (family == 4) {
    uint32_t ip;
    memcpy(&ip, address, 4);
    ip = rte_be_to_cpu_32(ip);
    rte_fib_lookup_bulk(found->fib4.get(), &ip, &value, 1);
  } else {
    uint8_t ip[1][16];
    memcpy(ip[0], address, 16);
    rte_fib6_lookup_bulk(found->fib6.get(), ip, &value, 1);
  }
  return entries[value];
}

bool RoutingSnapshot::owns(PortId id, uint8_t family, const uint8_t* address) const {
  const PortL3* facts = port(id);
  if (facts == nullptr) return false;
  for (const IpPrefix& own : facts->addresses) {
    if (own.address.family == family && memcmp(own.address.bytes.data(), address, address_bytes(family)) == 0)
      return true;
  }
  return false;
}

}  // namespace sluice
