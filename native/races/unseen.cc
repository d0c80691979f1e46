#include "unseen.h"

#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <sanitizer/tsan_interface.h>

#include <cstring>
#include <utility>

namespace sluice::races {
namespace {

rte_mempool_enqueue_t give;
rte_mempool_dequeue_t take;

int give_seen(rte_mempool* pool, void* const* objects, unsigned count) {
  for (unsigned i = 0; i < count; i++) __tsan_release(objects[i]);
  return give(pool, objects, count);
}

int take_seen(rte_mempool* pool, void** objects, unsigned count) {
  const int taken = take(pool, objects, count);
  for (unsigned i = 0; taken == 0 && i < count; i++) __tsan_acquire(objects[i]);
  return taken;
}

}  // namespace

void show_what_is_unseen() {
  constexpr const char* kPools = "ring_mp_mc";  // the pools' that nothing else is asked for
  for (unsigned i = 0; i < rte_mempool_ops_table.num_ops; i++) {
    rte_mempool_ops& ops = rte_mempool_ops_table.ops[i];
    if (std::strcmp(ops.name, kPools) != 0) continue;
    give = std::exchange(ops.enqueue, give_seen);
    take = std::exchange(ops.dequeue, take_seen);
  }
}

}  // namespace sluice::races

/// In the library's place, which does the same for all threads: made of the header's functions, so that it is seen.
extern "C" void rte_rcu_qsbr_synchronize(rte_rcu_qsbr* variable, unsigned) {
  rte_rcu_qsbr_check(variable, rte_rcu_qsbr_start(variable), true);
}
