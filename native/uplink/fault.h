#pragma once

namespace sluice::uplink {

/// Called after every change outside of the process. With SLUICE_UPLINK_DIE_AT=N in the environment the process kills
/// itself at the N-th, so that tests can end it at each.
void fault_point();

}  // namespace sluice::uplink
