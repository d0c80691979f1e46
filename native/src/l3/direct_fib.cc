#include "l3/direct_fib.h"

#include <rte_byteorder.h>
#include <rte_errno.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "l3/address.h"

namespace sluice {
namespace {

/// One bit of a 2-byte entry says that it points to a table of the next level.
constexpr uint32_t kTwoByteLimit = 0x7fff;
constexpr size_t kSpareTables = 16;
constexpr size_t kSpareRoutes = 256;

uint32_t to_host(const IpAddress& address) {
  uint32_t word;
  memcpy(&word, address.bytes.data(), sizeof word);
  return rte_be_to_cpu_32(word);
}

size_t tables_of(const std::map<std::pair<uint8_t, uint32_t>, uint32_t>& content) {
  std::set<uint32_t> tables;
  for (auto at = content.upper_bound({24, UINT32_MAX}); at != content.end(); ++at) tables.insert(at->first.second >> 8);
  return tables.size();
}

uint32_t largest_value(const std::map<std::pair<uint8_t, uint32_t>, uint32_t>& content) {
  uint32_t largest = 0;
  for (const auto& [key, value] : content) largest = std::max(largest, value);
  return largest;
}

}  // namespace

Result<std::unique_ptr<DirectFib>> DirectFib::make(const Routes& routes) {
  static std::atomic<uint32_t> number{0};
  const Content content = content_of(routes);
  std::unique_ptr<DirectFib> fib(new DirectFib);
  fib->room_ = room_for(content);
  rte_fib_conf conf{};
  conf.type = RTE_FIB_DIR24_8;
  conf.max_routes = static_cast<int>(fib->room_.routes);
  conf.dir24_8.num_tbl8 = static_cast<uint32_t>(fib->room_.tables);
  conf.dir24_8.nh_sz = fib->room_.value > kTwoByteLimit ? RTE_FIB_DIR24_8_4B : RTE_FIB_DIR24_8_2B;
  fib->fib_.reset(rte_fib_create(("sluice" + std::to_string(number++)).c_str(), SOCKET_ID_ANY, &conf));
  if (!fib->fib_) return Error{"out-of-memory", "/routes", rte_strerror(rte_errno)};
  if (const int result = fib->change_content(content); result != 0) {
    return Error{"route-refused", "/routes",
                 std::string("no room for a route in the routing table (") + rte_strerror(-result) + ")"};
  }
  return fib;
}

bool DirectFib::change_to(const Routes& routes) {
  const Content content = content_of(routes);
  const bool fits =
      content.size() <= room_.routes && tables_of(content) <= room_.tables && largest_value(content) <= room_.value;
  return fits && change_content(content) == 0;
}

DirectFib::Content DirectFib::content_of(const Routes& routes) {
  Content content;
  for (const FibRoute* route : routes) {
    content[{route->prefix.length, to_host(route->prefix.address)}] = route->value;
  }
  return content;
}

DirectFib::Room DirectFib::room_for(const Content& content) {
  const size_t tables = tables_of(content);
  // Tables are pointed to as values are.
  const uint32_t largest = std::max(largest_value(content), static_cast<uint32_t>(tables * 2 + kSpareTables));
  return {content.size() * 2 + kSpareRoutes, tables * 2 + kSpareTables,
          largest > kTwoByteLimit ? UINT32_MAX >> 1 : kTwoByteLimit};
}

int DirectFib::change_content(const Content& wanted) {
  for (const auto& [key, value] : content_) {
    if (wanted.count(key) != 0) continue;
    if (const int result = rte_fib_delete(fib_.get(), key.second, key.first); result != 0) return result;
  }
  for (const auto& [key, value] : wanted) {
    const auto known = content_.find(key);
    if (known != content_.end() && known->second == value) continue;
    if (const int result = rte_fib_add(fib_.get(), key.second, key.first, value); result != 0) return result;
  }
  content_ = wanted;
  return 0;
}

std::unique_ptr<DirectFib> SpareFib::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::move(fib_);
}

void SpareFib::put(std::unique_ptr<DirectFib> fib) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fib_ = std::move(fib);
}

}  // namespace sluice
