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

/// Sets the flags and gso_size of a received frame from its header. A partial checksum that the packet path would not
/// find (of another protocol than TCP and UDP, or of a packet inside a tunnel) is completed here. A super-frame inside
/// a tunnel keeps its flags, which are right once the tunnel's headers are off. False: an impossible or unknown header.
bool apply_vnet_header(const VnetHeader& header, rte_mbuf* frame);

/// The header for a frame to send; meta.l2_length bytes of link header are at its start. False: the frame claims
/// offloads that its bytes do not bear out.
bool make_vnet_header(const rte_mbuf* frame, VnetHeader* header);

}  // namespace sluice
