#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace sluice {

/// Joins TCP packets of a burst that follow each other in their flow into super-frames, so that the steps after it and
/// a TAP's receiver handle one packet instead of dozens (what Linux calls GRO). Packets start at their L3 header and
/// are parsed. What is joined can be cut again by segment() into the very same packets: only ACK and PSH are set, equal
/// headers and options but for the sequence number (and IPv4 ids that count up), equal payload sizes but for the last,
/// and a checksum that was checked, since a super-frame's is partial. All else stays as it is.
///
/// Works in place and returns the new count; a super-frame is where its first packet was, and a flow's order is kept.
uint16_t coalesce(rte_mbuf** packets, uint16_t count);

}  // namespace sluice
