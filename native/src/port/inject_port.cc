#include "port/inject_port.h"

#include <rte_errno.h>

#include <cstring>

#include "port/link_address.h"

namespace sluice {

namespace {
rte_ring* make_ring(const std::string& name, unsigned length, unsigned flags) {
  return rte_ring_create(name.c_str(), length, SOCKET_ID_ANY, flags);
}

void drain(rte_ring* ring) {
  if (ring == nullptr) return;
  void* frame;
  while (rte_ring_dequeue(ring, &frame) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
}
}  // namespace

Result<std::unique_ptr<Port>> InjectPort::open(const PortConfig& config, PortId id, const BufferPools& pools,
                                               uint16_t workers) {
  static std::atomic<unsigned> opened{0};  // ring names are unique in the process
  std::unique_ptr<InjectPort> port(new InjectPort(config, id, pools, workers));
  const std::string base = "inject" + std::to_string(opened++);
  port->incoming_.reset(make_ring(base + "in", kQueueLength, RING_F_SC_DEQ));
  port->outgoing_.reset(make_ring(base + "out", kQueueLength, RING_F_SC_DEQ));
  if (!port->incoming_ || !port->outgoing_) {
    return Error{"port-open-failed", "", std::string("no memory for the port's rings: ") + rte_strerror(rte_errno)};
  }
  return std::unique_ptr<Port>(std::move(port));
}

InjectPort::InjectPort(const PortConfig& config, PortId port_id, const BufferPools& pools, uint16_t workers)
    : pools_(pools), offloads_(config.devargs == "offload"), tx_(workers) {
  id = port_id;
  name = config.name;
  mac = config.mac ? *config.mac : address_from_name(config.name);
  mtu = config.mtu;
}

InjectPort::~InjectPort() {
  drain(incoming_.get());
  drain(outgoing_.get());
}

rte_mbuf* InjectPort::make_frame(const InjectedFrame& source) {
  const size_t first = source.bytes.size() < kPacketRoom ? source.bytes.size() : kPacketRoom;
  const size_t rest = source.bytes.size() - first;
  if (rest > UINT16_MAX) return nullptr;
  rte_mbuf* frame = rte_pktmbuf_alloc(pools_.packets);
  if (frame == nullptr) return nullptr;
  std::memcpy(rte_pktmbuf_append(frame, first), source.bytes.data(), first);
  if (rest > 0) {
    rte_mbuf* jumbo = rte_pktmbuf_alloc(pools_.jumbos);
    if (jumbo == nullptr) {
      rte_pktmbuf_free(frame);
      return nullptr;
    }
    jumbo->data_off = 0;
    std::memcpy(rte_pktmbuf_append(jumbo, rest), source.bytes.data() + first, rest);
    rte_pktmbuf_chain(frame, jumbo);
  }
  PacketMeta* meta = meta_of(frame);
  std::memset(static_cast<void*>(meta), 0, sizeof *meta);
  meta->in_port = id;
  meta->flags = source.flags;
  meta->gso_size = source.gso_size;
  return frame;
}

bool InjectPort::inject(const InjectedFrame& source) {
  rte_mbuf* frame = make_frame(source);
  if (frame == nullptr) return false;
  if (rte_ring_enqueue(incoming_.get(), frame) == 0) return true;
  rte_pktmbuf_free(frame);
  return false;
}

std::vector<InjectedFrame> InjectPort::collect(size_t max) {
  std::vector<InjectedFrame> collected;
  void* object;
  while (collected.size() < max && rte_ring_dequeue(outgoing_.get(), &object) == 0) {
    auto* frame = static_cast<rte_mbuf*>(object);
    InjectedFrame& copy = collected.emplace_back();
    copy.flags = meta_of(frame)->flags;
    copy.gso_size = meta_of(frame)->gso_size;
    for (const rte_mbuf* part = frame; part != nullptr; part = part->next) {
      const auto* bytes = rte_pktmbuf_mtod(part, const uint8_t*);
      copy.bytes.insert(copy.bytes.end(), bytes, bytes + part->data_len);
    }
    rte_pktmbuf_free(frame);
  }
  return collected;
}

uint16_t InjectPort::receive(uint16_t queue, rte_mbuf** frames, uint16_t count) {
  const unsigned received = rte_ring_dequeue_burst(incoming_.get(), reinterpret_cast<void**>(frames), count, nullptr);
  if (received == 0) return 0;
  uint64_t bytes = 0;
  for (unsigned i = 0; i < received; i++) bytes += frames[i]->pkt_len;
  rx_[queue].add(received, bytes);
  return received;
}

uint16_t InjectPort::transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) {
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < count; i++) bytes += frames[i]->pkt_len;
  const unsigned taken =
      rte_ring_enqueue_burst(outgoing_.get(), reinterpret_cast<void* const*>(frames), count, nullptr);
  for (unsigned i = taken; i < count; i++) bytes -= frames[i]->pkt_len;  // the ones not taken are still the caller's
  if (taken > 0) tx_[worker].add(taken, bytes);
  return taken;
}

}  // namespace sluice
