#pragma once

#include <rte_ether.h>

#include <string>

namespace sluice {

/// A locally administered MAC address that is always the same for a name: neighbours that know it stay right when the
/// dataplane is restarted.
rte_ether_addr address_from_name(const std::string& name);

}  // namespace sluice
