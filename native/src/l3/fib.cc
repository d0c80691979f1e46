#include "l3/fib.h"

#include <rte_errno.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>

#include "l3/address.h"

namespace sluice {
namespace {

/// One bit of a 2-byte entry says that it points to a table of the next level.
constexpr uint32_t kTwoByteLimit = 0x7fff;
constexpr uint32_t kSpareTables = 16;

uint32_t to_host(const IpAddress& address) {
  uint32_t word;
  memcpy(&word, address.bytes.data(), sizeof word);
  return rte_be_to_cpu_32(word);
}

rte_fib* create(const std::vector<const FibRoute*>& routes) {
  static std::atomic<uint32_t> number{0};
  std::set<uint32_t> tables;  // one for each /24 that holds longer prefixes
  uint32_t largest = 0;
  for (const FibRoute* route : routes) {
    if (route->prefix.length > 24) tables.insert(to_host(route->prefix.address) >> 8);
    largest = std::max(largest, route->value);
  }
  rte_fib_conf conf{};
  conf.type = RTE_FIB_DIR24_8;
  conf.max_routes = static_cast<int>(routes.size() * 2 + 64);
  conf.dir24_8.num_tbl8 = static_cast<uint32_t>(tables.size()) + kSpareTables;
  const bool wide = std::max(largest, conf.dir24_8.num_tbl8) > kTwoByteLimit;
  conf.dir24_8.nh_sz = wide ? RTE_FIB_DIR24_8_4B : RTE_FIB_DIR24_8_2B;
  return rte_fib_create(("sluice" + std::to_string(number++)).c_str(), SOCKET_ID_ANY, &conf);
}

}  // namespace

Result<Fib4> Fib4::build_direct(const std::vector<FibRoute>& routes) {
  // Shorter prefixes first: each later one only refines what is there.
  std::vector<const FibRoute*> order;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family == 4) order.push_back(&route);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const FibRoute* a, const FibRoute* b) { return a->prefix.length < b->prefix.length; });
  Fib4 fib;
  fib.direct_.reset(create(order));
  if (!fib.direct_) return Error{"out-of-memory", "/routes", rte_strerror(rte_errno)};
  for (const FibRoute* route : order) {
    const IpPrefix& prefix = route->prefix;
    const int result = rte_fib_add(fib.direct_.get(), to_host(prefix.address), prefix.length, route->value);
    if (result != 0) {
      return Error{"route-refused", "/routes",
                   "no room for " + to_text(prefix) + " in the routing table (" + rte_strerror(-result) + ")"};
    }
  }
  return fib;
}

Result<Fib4> Fib4::build(const std::vector<FibRoute>& routes, FibKind kind) {
  if (kind == FibKind::Direct) {
    auto direct = build_direct(routes);
    if (direct || direct.error().code != "out-of-memory") return direct;
  }
  Fib4 fib;
  fib.trie_ = PrefixTrie(routes, 4);
  return fib;
}

}  // namespace sluice
