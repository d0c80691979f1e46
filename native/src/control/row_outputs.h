#pragma once

#include <rte_mbuf.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/tracer.h"
#include "port/port.h"
#include "wasm/manifest.h"

namespace sluice {

/// All bytes of a packet, in hex.
std::string packet_hex(const rte_mbuf* packet);

/// Where a stage under test sends packets to and notes values, and what it did of both.
class RowOutputs final : public Tracer {
 public:
  /// The ports with these numbers are there; what leaves by one is freed.
  void open_ports(const std::vector<PortId>& ids);
  const PortTable& ports() const { return ports_; }
  void name_values(const std::vector<std::string>& names) { names_ = names; }

  /// Packet `number` of the row; copies of it carry the number too.
  static void number(rte_mbuf* packet, uint32_t number) { packet->hash.usr = number; }
  static uint32_t number_of(const rte_mbuf* packet) { return packet->hash.usr; }

  /// Takes what the stage emitted out of the context.
  void take_emitted(WorkerContext& ctx);

  /// Hex of each packet, from its L3 header on.
  const nlohmann::json& emitted() const { return emitted_; }
  /// Of each copy {packet, port, hex}.
  const nlohmann::json& mirrored() const { return mirrored_; }
  /// The last value of each name that was noted of a packet; empty when none was.
  nlohmann::json values_of(uint32_t number) const;

  void trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) override;
  void mirrored(WorkerContext& ctx, PortId port, const rte_mbuf* copy) override;

 private:
  std::vector<std::unique_ptr<Port>> owned_;
  PortTable ports_;
  std::vector<std::string> names_;
  nlohmann::json emitted_ = nlohmann::json::array(), mirrored_ = nlohmann::json::array();
  std::map<uint32_t, nlohmann::json> values_;
};

}  // namespace sluice
