#pragma once

// Before all else in a build for the thread sanitizer: what it has to see of DPDK's headers.

// Spinlocks and atomics without assembler, rings without plain stores.
#define RTE_FORCE_INTRINSICS
#define RTE_USE_C11_MEM_MODEL

// Of a ring's producers one waits for the others by relaxed loads before it lets consumers see what all of them wrote.
// CPUs keep that in order; C11, and so the sanitizer, asks for an acquiring load.
#include <rte_pause.h>
#define rte_wait_until_equal_32(address, value, order) rte_wait_until_equal_32(address, value, __ATOMIC_ACQUIRE)
