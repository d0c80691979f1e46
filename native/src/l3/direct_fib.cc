#include "l3/direct_fib.h"

#include <rte_byteorder.h>
#include <rte_errno.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
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

}  // namespace

Result<std::unique_ptr<DirectFib>> DirectFib::make(const Routes& routes) {
  static std::atomic<uint32_t> number{0};
  Content content = content_of(routes);
  std::unique_ptr<DirectFib> fib(new DirectFib);
  fib->room_ = room_for(content);
  rte_fib_conf conf{};
  conf.type = RTE_FIB_DIR24_8;
  conf.max_routes = static_cast<int>(fib->room_.routes);
  conf.dir24_8.num_tbl8 = static_cast<uint32_t>(fib->room_.tables);
  conf.dir24_8.nh_sz = fib->room_.value > kTwoByteLimit ? RTE_FIB_DIR24_8_4B : RTE_FIB_DIR24_8_2B;
  fib->fib_.reset(rte_fib_create(("sluice" + std::to_string(number++)).c_str(), SOCKET_ID_ANY, &conf));
  if (!fib->fib_) return Error{"out-of-memory", "/routes", rte_strerror(rte_errno)};
  if (const int result = fib->change_content(std::move(content)); result != 0) {
    return Error{"route-refused", "/routes",
                 std::string("no room for a route in the routing table (") + rte_strerror(-result) + ")"};
  }
  return fib;
}

bool DirectFib::change_to(const Routes& routes) {
  Content content = content_of(routes);
  const bool fits =
      content.size() <= room_.routes && tables_of(content) <= room_.tables && largest_value(content) <= room_.value;
  return fits && change_content(std::move(content)) == 0;
}

DirectFib::Content DirectFib::content_of(const Routes& routes) {
  Content content;
  content.reserve(routes.size());
  for (const FibRoute* route : routes) {
    content.push_back({{route->prefix.length, to_host(route->prefix.address)}, route->value});
  }
  std::sort(content.begin(), content.end());
  return content;
}

size_t DirectFib::tables_of(const Content& content) {
  std::vector<uint32_t> tables;
  for (const auto& [key, value] : content) {
    if (key.first > 24) tables.push_back(key.second >> 8);
  }
  std::sort(tables.begin(), tables.end());
  return static_cast<size_t>(std::unique(tables.begin(), tables.end()) - tables.begin());
}

uint32_t DirectFib::largest_value(const Content& content) {
  uint32_t largest = 0;
  for (const auto& [key, value] : content) largest = std::max(largest, value);
  return largest;
}

DirectFib::Room DirectFib::room_for(const Content& content) {
  const size_t tables = tables_of(content);
  // Tables are pointed to as values are.
  const uint32_t largest = std::max(largest_value(content), static_cast<uint32_t>(tables * 2 + kSpareTables));
  return {content.size() * 2 + kSpareRoutes, tables * 2 + kSpareTables,
          largest > kTwoByteLimit ? UINT32_MAX >> 1 : kTwoByteLimit};
}

int DirectFib::change_content(Content wanted) {
  const auto is_before = [](const auto& a, const auto& b) { return a.first < b.first; };
  Content gone, changed;
  std::set_difference(content_.begin(), content_.end(), wanted.begin(), wanted.end(), std::back_inserter(gone),
                      is_before);
  std::set_difference(wanted.begin(), wanted.end(), content_.begin(), content_.end(), std::back_inserter(changed));
  for (const auto& [key, value] : gone) {
    if (const int result = rte_fib_delete(fib_.get(), key.second, key.first); result != 0) return result;
  }
  for (const auto& [key, value] : changed) {
    if (const int result = rte_fib_add(fib_.get(), key.second, key.first, value); result != 0) return result;
  }
  content_ = std::move(wanted);
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
