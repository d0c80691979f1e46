#pragma once

#include <rte_mbuf.h>

#include "core/packet.h"

namespace sluice {

/// The 10 bytes (virtio 1.x, section 5.1.6, without num_buffers) that precede each frame on a TAP or packet socket.
/// Fields are in host byte order there. (linux/virtio_net.h has it too, but is no C++.)
struct VnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;      ///< bytes of all headers of a super-frame
  uint16_t gso_size;     ///< payload bytes a segment
  uint16_t csum_start;   ///< offset in the frame of the L4 header
  uint16_t csum_offset;  ///< of the checksum field, from csum_start
};
static_assert(sizeof(VnetHeader) == 10, "as set by TUNSETVNETHDRSZ");

/// Sets the flags and gso_size of a received frame from its header. A partial checksum of a protocol whose field is not
/// where TCP's or UDP's is gets completed here, since the packet path only knows those. False: an impossible header.
bool apply_vnet_header(const VnetHeader& header, rte_mbuf* frame);

/// The header for a frame to send; meta.l2_length bytes of link header are at its start. False: the frame claims
/// offloads that its bytes do not bear out.
bool make_vnet_header(const rte_mbuf* frame, VnetHeader* header);

}  // namespace sluice
