#pragma once

#include <rte_mbuf.h>

#include <cstddef>

namespace sluice {

/// The kernel takes the outer VLAN tag off received frames and hands it over beside them (tpacket_auxdata in
/// `control`). Puts it back where it was on the wire. False: there is no room for it.
bool restore_vlan_tag(rte_mbuf* frame, const void* control, size_t control_length);

}  // namespace sluice
