#pragma once

#include <rte_mbuf.h>

namespace sluice {

/// Computes an SCTP packet's CRC32c anew (RFC 9260, section 6.8 and appendix A) over all segments. Leaves other
/// packets, and fragments, alone.
void complete_sctp_checksum(rte_mbuf* packet);

}  // namespace sluice
