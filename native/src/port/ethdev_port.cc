#include "port/ethdev_port.h"

#include <rte_dev.h>
#include <rte_errno.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "port/kernel_interface.h"
#include "port/netns.h"

namespace sluice {

namespace {
constexpr uint16_t kDescriptors = 1024;
/// Frames taken at once: their buffers, used again last in, first out, then stay in the first-level cache from receive
/// to transmit. 64-byte frames cost two thirds of what they do 256 at once.
constexpr uint16_t kAtOnce = 64;

Error failed(const std::string& path, const std::string& what, int code) {
  return Error{"port-open-failed", path, what + ": " + rte_strerror(-code)};
}

/// Of 22.11's drivers, ring gives every transmit queue a ring of its own, which only the receive queue of the same
/// number reads; there is one receive queue.
bool one_tx_queue(PortKind kind) {
  return kind == PortKind::Ring;
}
}  // namespace

Result<std::unique_ptr<Port>> EthdevPort::open(const PortConfig& config, PortId id, const BufferPools& pools,
                                               uint16_t workers) {
  auto devargs = device_arguments(config);
  if (!devargs) return devargs.error();
  std::unique_ptr<EthdevPort> port(new EthdevPort(config, id, workers));
  const Status opened = in_netns(config.netns, [&]() -> Status {
    if (config.kind == PortKind::AfXdp) {
      if (Status status = bring_up(config.device); !status) return status;
    }
    if (Status status = port->plug(devargs.value()); !status) return status;
    return port->configure(config, pools, workers);
  });
  if (!opened) return opened.error();
  return std::unique_ptr<Port>(std::move(port));
}

EthdevPort::EthdevPort(const PortConfig& config, PortId port_id, uint16_t workers)
    : netns_(config.netns), tx_(workers) {
  id = port_id;
  name = config.name;
  mtu = config.mtu;
}

EthdevPort::~EthdevPort() {
  close(false);
}

Status EthdevPort::plug(const std::string& devargs) {
  const std::string device = devargs.substr(0, devargs.find(','));
  // A PCI device that EAL found at its start is there already.
  if (rte_eth_dev_get_port_by_name(device.c_str(), &device_) == 0) return {};
  if (const int code = rte_dev_probe(devargs.c_str()); code != 0) {
    return failed("/device", "DPDK could not open \"" + devargs + "\" (its log says more)", code);
  }
  if (const int code = rte_eth_dev_get_port_by_name(device.c_str(), &device_); code != 0) {
    return failed("/devargs", "\"" + devargs + "\" is a device but no network port", code);
  }
  return {};
}

Status EthdevPort::configure(const PortConfig& config, const BufferPools& pools, uint16_t workers) {
  rte_eth_dev_info info;
  if (const int code = rte_eth_dev_info_get(device_, &info); code != 0) return failed("/device", "no details", code);
  const uint16_t queues = one_tx_queue(config.kind)
                              ? 1
                              : std::clamp<uint16_t>(info.max_tx_queues, uint16_t{1}, std::max<uint16_t>(workers, 1));
  tx_queues_ = std::vector<TxQueue>(queues);
  shared_queues_ = queues < workers;

  rte_eth_conf conf{};
  conf.rxmode.mtu = std::min(config.mtu, info.max_mtu);
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (config.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN > kPacketRoom) {
    conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
  }
  uint16_t rx_descriptors = kDescriptors, tx_descriptors = kDescriptors;
  const int socket = rte_eth_dev_socket_id(device_);
  if (const int code = rte_eth_dev_configure(device_, 1, queues, &conf); code != 0) {
    return failed("/device", "configuring it", code);
  }
  if (const int code = rte_eth_dev_adjust_nb_rx_tx_desc(device_, &rx_descriptors, &tx_descriptors); code != 0) {
    return failed("/device", "sizing its queues", code);
  }
  if (const int code = rte_eth_rx_queue_setup(device_, 0, rx_descriptors, socket, nullptr, pools.packets); code != 0) {
    return failed("/device", "making its receive queue", code);
  }
  for (uint16_t queue = 0; queue < queues; queue++) {
    if (const int code = rte_eth_tx_queue_setup(device_, queue, tx_descriptors, socket, nullptr); code != 0) {
      return failed("/device", "making a transmit queue", code);
    }
  }
  if (Status status = set_mtu(config); !status) return status;
  if (const int code = rte_eth_dev_start(device_); code != 0) return failed("/device", "starting it", code);
  return set_address(config);
}

Status EthdevPort::set_mtu(const PortConfig& config) {
  const int code = rte_eth_dev_set_mtu(device_, config.mtu);
  if (code == 0 || code == -ENOTSUP) return {};  // drivers without a limit of their own do not have the call
  return failed("/mtu", "the device refuses an MTU of " + std::to_string(config.mtu), code);
}

/// Frames to the port's own MAC and to multicast groups (ND needs them) must come in; a driver that cannot filter that
/// finely is asked for all frames, and the packet path drops those for others.
Status EthdevPort::set_address(const PortConfig& config) {
  if (const int code = rte_eth_macaddr_get(device_, &mac); code != 0) return failed("/mac", "reading its MAC", code);
  bool filtered = true;
  if (config.mac && !rte_is_same_ether_addr(&*config.mac, &mac)) {
    mac = *config.mac;
    filtered = rte_eth_dev_default_mac_addr_set(device_, &mac) == 0;
  }
  filtered = rte_eth_allmulticast_enable(device_) == 0 && filtered;
  if (filtered) return {};
  const int code = rte_eth_promiscuous_enable(device_);
  if (code == 0 || code == -ENOTSUP) return {};  // memif, pcap and their like have no filter to switch off
  return failed("/device", "switching promiscuous mode on", code);
}

/// AF_XDP's driver takes its program off the interface, which it looks for in the caller's namespace.
void EthdevPort::close(bool) {
  if (device_ == RTE_MAX_ETHPORTS) return;
  const Status unplugged = in_netns(netns_, [this]() -> Status {
    unplug();
    return {};
  });
  if (!unplugged) unplug();  // the namespace has ended, and the interface is not there any more
}

void EthdevPort::unplug() {
  rte_eth_dev_info info;
  const bool known = rte_eth_dev_info_get(device_, &info) == 0;
  rte_eth_dev_stop(device_);
  rte_eth_dev_close(device_);
  if (known) rte_dev_remove(info.device);
  device_ = RTE_MAX_ETHPORTS;
}

uint16_t EthdevPort::receive(uint16_t queue, rte_mbuf** frames, uint16_t count) {
  const uint16_t received = rte_eth_rx_burst(device_, queue, frames, std::min(count, kAtOnce));
  if (received == 0) return 0;
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < received; i++) {
    PacketMeta* meta = meta_of(frames[i]);
    std::memset(static_cast<void*>(meta), 0, sizeof *meta);
    meta->in_port = id;
    bytes += frames[i]->pkt_len;
  }
  rx_[queue].add(received, bytes);
  return received;
}

uint16_t EthdevPort::transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) {
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < count; i++) bytes += frames[i]->pkt_len;
  const uint16_t queue = worker % tx_queues_.size();
  if (shared_queues_) rte_spinlock_lock(&tx_queues_[queue].lock);
  const uint16_t taken = rte_eth_tx_burst(device_, queue, frames, count);
  if (shared_queues_) rte_spinlock_unlock(&tx_queues_[queue].lock);
  for (uint16_t i = taken; i < count; i++) bytes -= frames[i]->pkt_len;
  if (taken > 0) tx_[worker].add(taken, bytes);
  return taken;
}

PortCounters EthdevPort::counters() const {
  PortCounters sum = sum_lanes(rx_, tx_);
  rte_eth_stats stats;
  if (device_ != RTE_MAX_ETHPORTS && rte_eth_stats_get(device_, &stats) == 0) {
    sum.rx_errors += stats.ierrors + stats.imissed + stats.rx_nombuf;
    sum.tx_errors += stats.oerrors;
  }
  return sum;
}

bool EthdevPort::up() const {
  rte_eth_link link{};
  return device_ != RTE_MAX_ETHPORTS && rte_eth_link_get_nowait(device_, &link) == 0 &&
         link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace sluice
