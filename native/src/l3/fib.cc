#include "l3/fib.h"

#include <utility>

namespace sluice {

Fib4::~Fib4() {
  if (direct_ && spare_) spare_->put(std::move(direct_));
}

Result<std::unique_ptr<DirectFib>> Fib4::direct(const std::vector<FibRoute>& routes, SpareFib* spare) {
  DirectFib::Routes own;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family == 4) own.push_back(&route);
  }
  if (spare != nullptr) {
    auto known = spare->take();
    if (known && known->change_to(own)) return known;
  }
  return DirectFib::make(own);
}

Result<Fib4> Fib4::build(const std::vector<FibRoute>& routes, FibKind kind, std::shared_ptr<SpareFib> spare) {
  Fib4 fib;
  if (kind == FibKind::Direct) {
    auto made = direct(routes, spare.get());
    if (!made && made.error().code != "out-of-memory") return made.error();
    if (made) {
      fib.direct_ = std::move(made.value());
      fib.spare_ = std::move(spare);
      return fib;
    }
  }
  fib.trie_ = PrefixTrie(routes, 4);
  return fib;
}

}  // namespace sluice
