#pragma once

namespace sluice::races {

/// Tells the sanitizer of the order that DPDK's compiled parts, which it does not see, give: what a thread did to a
/// buffer before it gave it back to its pool comes before what another does that gets it from there. Before the first
/// pool is made.
void show_what_is_unseen();

}  // namespace sluice::races
