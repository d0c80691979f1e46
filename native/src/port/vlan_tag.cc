#include "port/vlan_tag.h"

#include <linux/if_packet.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <sys/socket.h>

#include <cstring>

namespace sluice {

bool restore_vlan_tag(rte_mbuf* frame, const void* control, size_t control_length) {
  if (control_length < CMSG_LEN(sizeof(tpacket_auxdata))) return true;
  const auto* message = static_cast<const cmsghdr*>(control);
  if (message->cmsg_level != SOL_PACKET || message->cmsg_type != PACKET_AUXDATA) return true;
  tpacket_auxdata auxiliary;
  std::memcpy(&auxiliary, CMSG_DATA(message), sizeof auxiliary);
  if ((auxiliary.tp_status & TP_STATUS_VLAN_VALID) == 0) return true;
  char* start = rte_pktmbuf_prepend(frame, RTE_VLAN_HLEN);
  if (start == nullptr) return false;
  std::memmove(start, start + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
  const bool typed = (auxiliary.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  const uint16_t tag[] = {rte_cpu_to_be_16(typed ? auxiliary.tp_vlan_tpid : RTE_ETHER_TYPE_VLAN),
                          rte_cpu_to_be_16(auxiliary.tp_vlan_tci)};
  std::memcpy(start + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof tag);
  return true;
}

}  // namespace sluice
