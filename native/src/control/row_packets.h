#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "control/json_reader.h"
#include "core/error.h"
#include "core/packet.h"
#include "core/reply_tuples.h"

namespace sluice {

constexpr uint32_t kRowFlows = 1024;  ///< flows that one row may name
constexpr uint16_t kSlotBytes = 64;   ///< of a row's flow, for the stage under test

/// False where it is no hex.
bool from_hex(const std::string& hex, std::vector<uint8_t>& bytes);

/// A row's packet on its way through the stage.
struct RowPacket {
  rte_mbuf* mbuf = nullptr;
  abi::Hook hook{};
  uint64_t at_ms = 0;
  std::string verdict;
  std::vector<uint8_t> flow_state;  ///< what its flow's slot holds before it; empty: as the packets before left it
  std::vector<SourceEnd> taken;     ///< with which its replies are another flow's
  bool refused = false;             ///< by parsing
};

/// The packets of a row as its JSON has them, parsed and tracked, in buffers of their own.
class RowPackets {
 public:
  using Json = nlohmann::json;

  /// What is wrong with a packet goes to `error`.
  RowPackets(rte_mempool* pool, std::optional<Error>& error) : pool_(pool), error_(error) {}
  ~RowPackets() {
    for (RowPacket& packet : packets) rte_pktmbuf_free(packet.mbuf);
  }
  RowPackets(const RowPackets&) = delete;
  RowPackets& operator=(const RowPackets&) = delete;

  /// `hook` is for a packet that names none.
  void add(const Json& json, const std::string& path, const std::string& hook);

  std::vector<RowPacket> packets;

 private:
  void fill(rte_mbuf* mbuf, const std::vector<uint8_t>& bytes, JsonReader& reader, const std::string& path);
  void add_taken(const Json& json, const std::string& path);
  void give_link_header(rte_mbuf* mbuf, JsonReader& reader, const std::string& path);
  void track(PacketMeta& meta, JsonReader& reader, const std::string& path);

  rte_mempool* pool_;
  std::optional<Error>& error_;
  std::map<std::string, uint32_t> flows_;  ///< flow numbers + 1
};

}  // namespace sluice
