#include "port/link_address.h"

#include <cstdint>
#include <cstring>

namespace sluice {

rte_ether_addr address_from_name(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  rte_ether_addr address;
  std::memcpy(address.addr_bytes, &hash, RTE_ETHER_ADDR_LEN);
  address.addr_bytes[0] = 0x02;  // unicast, locally administered
  return address;
}

}  // namespace sluice
