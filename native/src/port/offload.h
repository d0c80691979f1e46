#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>

namespace sluice {

/// What a way out without offloads needs done in software. Packets start at their L3 header and are parsed
/// (meta.protocol and meta.l4_offset are right).

/// Completes the checksum of a PARTIAL_CHECKSUM packet and clears the flag. False, and nothing done, when it is neither
/// TCP, UDP nor DCCP or its checksum field is not there; packets without the flag are done already (true).
bool complete_checksum(rte_mbuf* packet);

/// Puts the CRC32c (RFC 9260, appendix A) into an SCTP packet, for one whose ports were rewritten.
bool complete_sctp_checksum(rte_mbuf* packet);

/// Cuts a TCP SUPER_FRAME into packets of at most `mtu` bytes and gso_size bytes of payload, with complete checksums
/// (IPv4: ids count up; FIN and PSH on the last only, CWR on the first only). Headers, PacketMeta and payload are
/// copied into buffers of `pool`. Returns how many are in `out` and frees the super-frame. 0: no buffers, more than
/// `max` packets, or no sound super-frame; it is then still the caller's and unchanged. A super-frame always carries a
/// partial checksum. One that stages wrapped in IP headers (gso_l4_offset) is cut inside, and each segment gets the
/// wrapping with its lengths made to fit.
uint16_t segment(rte_mbuf* packet, uint16_t mtu, rte_mempool* pool, rte_mbuf** out, uint16_t max);

/// Takes away what is no longer true of a parsed packet that a stage made something else of: a super-frame that is no
/// larger than a segment, or no TCP any more; a partial checksum of a protocol that has none, as in an ICMP error,
/// whose checksum the stage wrote.
void settle_offloads(rte_mbuf* packet);

}  // namespace sluice
