#include <unistd.h>

#include <atomic>

#include "port/ethdev_port.h"
#include "port/memif_socket.h"

namespace sluice {

namespace {

Error missing(const std::string& path, const std::string& what) {
  return Error{"missing-field", path, what};
}

Result<std::string> kernel_interface(const std::string& device, const PortConfig& config) {
  if (config.device.empty()) return missing("/device", "name the kernel interface to use");
  return device + ",iface=" + config.device;
}

Result<std::string> memif(const std::string& device, const PortConfig& config) {
  if (config.devargs.empty()) return missing("/devargs", "give the path of the memif socket");
  if (config.memif_server) {
    if (Status cleared = clear_memif_socket(config.devargs); !cleared) return cleared.error();
  }
  return device + ",role=" + (config.memif_server ? "server" : "client") + ",id=" + std::to_string(config.memif_id) +
         ",socket=" + config.devargs + ",socket-abstract=no";
}

Result<std::string> pcap(const std::string& device, const PortConfig& config) {
  if (config.pcap_rx.empty() && config.pcap_tx.empty()) {
    return missing("/pcap_rx", "name a file to read frames from, one to write them to, or both");
  }
  if (!config.pcap_rx.empty() && access(config.pcap_rx.c_str(), R_OK) != 0) {
    return Error{"file-not-found", "/pcap_rx", config.pcap_rx + " cannot be read"};
  }
  return device + (config.pcap_rx.empty() ? "" : ",rx_pcap=" + config.pcap_rx) +
         (config.pcap_tx.empty() ? "" : ",tx_pcap=" + config.pcap_tx);
}

std::string with_options(const std::string& device, const std::string& options) {
  return options.empty() ? device : device + "," + options;
}

}  // namespace

Result<std::string> device_arguments(const PortConfig& config) {
  static std::atomic<unsigned> plugged{0};
  const auto device = [](const char* driver) { return driver + std::to_string(plugged++); };
  switch (config.kind) {
    case PortKind::AfXdp:
      return kernel_interface(device("net_af_xdp"), config);
    case PortKind::Memif:
      return memif(device("net_memif"), config);
    case PortKind::Pcap:
      return pcap(device("net_pcap"), config);
    case PortKind::Null:
      return with_options(device("net_null"), config.devargs);
    case PortKind::Ring:
      return with_options(device("net_ring"), config.devargs);
    case PortKind::Dpdk:
      if (config.devargs.empty()) return missing("/devargs", "give DPDK's devargs, such as 0000:01:00.0");
      return config.devargs;
    case PortKind::Tap:
    case PortKind::Veth:
    case PortKind::AfPacket:
    case PortKind::Inject:
    case PortKind::Vxlan:
      break;
  }
  return Error{"port-kind-unsupported", "/kind", "this kind of port is no DPDK device"};
}

}  // namespace sluice
