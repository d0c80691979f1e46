#include "control/row_outputs.h"

#include "core/worker_context.h"
#include "wasm/trap.h"

namespace sluice {

namespace {

/// It takes every frame as it is, whatever its size and checksum.
class RowPort final : public Port {
 public:
  explicit RowPort(PortId number) {
    id = number;
    mtu = UINT16_MAX;
  }
  uint16_t receive(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  uint16_t transmit(uint16_t, rte_mbuf** frames, uint16_t count) override {
    rte_pktmbuf_free_bulk(frames, count);
    return count;
  }
  bool offloads() const override { return true; }
  PortCounters counters() const override { return {}; }
};

}  // namespace

std::string packet_hex(const rte_mbuf* packet) {
  std::string hex;
  for (; packet != nullptr; packet = packet->next) {
    hex += to_hex(rte_pktmbuf_mtod(packet, const uint8_t*), packet->data_len);
  }
  return hex;
}

void RowOutputs::open_ports(const std::vector<PortId>& ids) {
  for (const PortId id : ids) {
    owned_.push_back(std::make_unique<RowPort>(id));
    ports_.set(id, owned_.back().get());
  }
}

void RowOutputs::take_emitted(WorkerContext& ctx) {
  for (uint16_t i = 0; i < ctx.originated.count; i++) {
    emitted_.push_back(packet_hex(ctx.originated.packets[i]));
    rte_pktmbuf_free(ctx.originated.packets[i]);
  }
  ctx.originated.count = 0;
}

nlohmann::json RowOutputs::values_of(uint32_t number) const {
  const auto found = values_.find(number);
  return found == values_.end() ? nlohmann::json::object() : found->second;
}

void RowOutputs::trace_value(const rte_mbuf* packet, const Stage&, uint16_t name, int64_t value) {
  values_[packet->hash.usr][names_[name]] = value;
}

void RowOutputs::mirrored(WorkerContext&, PortId port, const rte_mbuf* copy) {
  mirrored_.push_back({{"packet", copy->hash.usr}, {"port", port}, {"hex", packet_hex(copy)}});
}

}  // namespace sluice
