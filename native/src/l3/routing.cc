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
  if (family == 6) return entries[found->fib6.lookup6(address)];
  uint64_t value = 0;
  uint32_t ip;
  memcpy(&ip, address, sizeof ip);
  ip = rte_be_to_cpu_32(ip);
  found->fib4.lookup(&ip, &value, 1);
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
