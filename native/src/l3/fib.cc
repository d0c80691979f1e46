#include "l3/fib.h"

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>

#include "l3/address.h"

namespace sluice {
namespace {

/// One bit of an entry says that it points to a table of the next level.
constexpr uint32_t kTwoByteLimit = 0x7fff;
constexpr uint32_t kSpareTables = 64;

std::string next_name() {
  static std::atomic<uint32_t> number{0};
  return "sluice" + std::to_string(number++);
}

/// Tables of 256 entries behind the first 24 bits: one for each 8-bit step of each prefix that goes deeper.
uint32_t deeper_tables(const std::vector<FibRoute>& routes, uint8_t family) {
  std::set<std::pair<uint8_t, std::array<uint8_t, 16>>> tables;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family != family) continue;
    for (uint8_t bits = 24; bits < route.prefix.length; bits = static_cast<uint8_t>(bits + 8)) {
      tables.insert({bits, network_of({route.prefix.address, bits}).address.bytes});
    }
  }
  return static_cast<uint32_t>(tables.size());
}

struct Needs {
  int routes = 0;
  uint32_t tables = 0;
  bool wide = false;  ///< values or table numbers don't fit in 2-byte entries
};

Needs needs_of(const std::vector<FibRoute>& routes, uint8_t family) {
  Needs needs;
  needs.tables = deeper_tables(routes, family) + kSpareTables;
  needs.wide = needs.tables > kTwoByteLimit;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family != family) continue;
    needs.routes++;
    needs.wide = needs.wide || route.value > kTwoByteLimit;
  }
  needs.routes = needs.routes * 2 + 64;  // the trees under both kinds have inner nodes
  return needs;
}

rte_fib* create(const Needs& needs, FibKind kind, rte_fib*) {
  rte_fib_conf conf{};
  conf.type = kind == FibKind::Direct ? RTE_FIB_DIR24_8 : RTE_FIB_DUMMY;
  conf.max_routes = needs.routes;
  conf.dir24_8.nh_sz = needs.wide ? RTE_FIB_DIR24_8_4B : RTE_FIB_DIR24_8_2B;
  conf.dir24_8.num_tbl8 = needs.tables;
  return rte_fib_create(next_name().c_str(), SOCKET_ID_ANY, &conf);
}

rte_fib6* create(const Needs& needs, FibKind kind, rte_fib6*) {
  rte_fib6_conf conf{};
  conf.type = kind == FibKind::Direct ? RTE_FIB6_TRIE : RTE_FIB6_DUMMY;
  conf.max_routes = needs.routes;
  conf.trie.nh_sz = needs.wide ? RTE_FIB6_TRIE_4B : RTE_FIB6_TRIE_2B;
  conf.trie.num_tbl8 = needs.tables;
  return rte_fib6_create(next_name().c_str(), SOCKET_ID_ANY, &conf);
}

int add(rte_fib* fib, const FibRoute& route) {
  uint32_t address;
  memcpy(&address, route.prefix.address.bytes.data(), 4);
  return rte_fib_add(fib, rte_be_to_cpu_32(address), route.prefix.length, route.value);
}

int add(rte_fib6* fib, const FibRoute& route) {
  return rte_fib6_add(fib, route.prefix.address.bytes.data(), route.prefix.length, route.value);
}

template <typename Fib>
Result<std::unique_ptr<Fib, FibFree>> make(const std::vector<FibRoute>& routes, FibKind kind, uint8_t family) {
  const Needs needs = needs_of(routes, family);
  std::unique_ptr<Fib, FibFree> fib(create(needs, kind, static_cast<Fib*>(nullptr)));
  if (!fib && kind == FibKind::Direct && rte_errno == ENOMEM) {
    fib.reset(create(needs, FibKind::Tree, static_cast<Fib*>(nullptr)));
  }
  if (!fib) {
    return Error{"out-of-memory", "/routes",
                 "no memory for a routing table of " + std::to_string(routes.size()) + " routes (" +
                     rte_strerror(rte_errno) + "); give the dataplane more"};
  }
  // Shorter prefixes first: each later one only refines what is there.
  std::vector<const FibRoute*> order;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family == family) order.push_back(&route);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const FibRoute* a, const FibRoute* b) { return a->prefix.length < b->prefix.length; });
  for (const FibRoute* route : order) {
    const int result = add(fib.get(), *route);
    if (result != 0) {
      return Error{"route-refused", "/routes",
                   "no room for " + to_text(route->prefix) + " in the routing table (" + rte_strerror(-result) + ")"};
    }
  }
  return fib;
}

}  // namespace

Result<Fib4> make_fib4(const std::vector<FibRoute>& routes, FibKind kind) {
  return make<rte_fib>(routes, kind, 4);
}
Result<Fib6> make_fib6(const std::vector<FibRoute>& routes, FibKind kind) {
  return make<rte_fib6>(routes, kind, 6);
}

}  // namespace sluice
