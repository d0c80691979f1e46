#include "control/desired_state.h"
#include "port/ethdev_port.h"
#include "port/inject_port.h"
#include "port/packet_socket_port.h"
#include "port/port.h"
#include "port/tap_port.h"
#include "port/veth_port.h"

namespace sluice {

Result<std::unique_ptr<Port>> open_port(const PortConfig& config, PortId id, const BufferPools& pools,
                                        uint16_t workers) {
  switch (config.kind) {
    case PortKind::Tap:
      return TapPort::open(config, id, pools, workers);
    case PortKind::Veth:
      return VethPort::open(config, id, pools, workers);
    case PortKind::Inject:
      return InjectPort::open(config, id, pools, workers);
    case PortKind::AfPacket:
      return PacketSocketPort::open(config, id, pools, workers);
    case PortKind::AfXdp:
    case PortKind::Memif:
    case PortKind::Pcap:
    case PortKind::Null:
    case PortKind::Ring:
    case PortKind::Dpdk:
      return EthdevPort::open(config, id, pools, workers);
    case PortKind::Vxlan:
      break;
  }
  return Error{"port-kind-unsupported", "/kind",
               "a vxlan port is no device: it leaves by the port that its remote is routed to"};
}

}  // namespace sluice
