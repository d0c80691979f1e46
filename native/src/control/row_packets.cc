#include "control/row_packets.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <tuple>
#include <utility>

#include "control/row_outputs.h"
#include "parse/parse.h"
#include "wasm/manifest.h"

namespace sluice {

namespace {

constexpr const char* kCtStates[] = {"untracked", "new", "established", "related", "invalid"};

}  // namespace

bool from_hex(const std::string& hex, std::vector<uint8_t>& bytes) {
  bytes.clear();
  if (hex.size() % 2 != 0) return false;
  for (size_t i = 0; i < hex.size(); i += 2) {
    char* end = nullptr;
    const std::string pair = hex.substr(i, 2);
    bytes.push_back(static_cast<uint8_t>(std::strtoul(pair.c_str(), &end, 16)));
    if (end != pair.c_str() + 2) return false;
  }
  return true;
}

void RowPackets::add(const Json& json, const std::string& path, const std::string& row_hook) {
  JsonReader reader(json, path, error_);
  std::vector<uint8_t> bytes;
  if (!from_hex(reader.text("in"), bytes) || bytes.empty())
    return reader.fail(path + "/in", "must be the packet in hex");
  RowPacket packet;
  const auto hook = hook_named(reader.text("hook", row_hook));
  if (!hook) return reader.fail(path + "/hook", "must be a hook");
  packet.hook = *hook;
  packet.at_ms = reader.number("at", packets.empty() ? 0 : packets.back().at_ms, UINT32_MAX);
  packet.mbuf = rte_pktmbuf_alloc(pool_);
  if (packet.mbuf == nullptr) return reader.fail(path, "there is no packet buffer left");
  packets.push_back(packet);
  fill(packet.mbuf, bytes, reader, path);
}

void RowPackets::fill(rte_mbuf* mbuf, const std::vector<uint8_t>& bytes, JsonReader& reader, const std::string& path) {
  PacketMeta& meta = *meta_of(mbuf);
  std::memset(&meta, 0, sizeof meta);
  char* data = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes.size()));
  if (data == nullptr) return reader.fail(path + "/in", "is longer than a packet buffer");
  std::memcpy(data, bytes.data(), bytes.size());
  give_link_header(mbuf, reader, path);
  RowOutputs::number(mbuf, static_cast<uint32_t>(packets.size() - 1));
  if (reader.flag("traced")) meta.flags |= static_cast<uint16_t>(abi::Flag::TRACED);
  meta.in_port = static_cast<PortId>(reader.number("inPort", 0, kMaxPorts));
  meta.out_port = static_cast<PortId>(reader.number("outPort", kNoPort, kNoPort));
  meta.table = static_cast<uint16_t>(reader.number("table", 0, UINT16_MAX));
  meta.mark = static_cast<uint32_t>(reader.number("mark", 0, UINT32_MAX));
  meta.gso_size = static_cast<uint16_t>(reader.number("gsoSize", 0, UINT16_MAX));
  if (reader.flag("partial")) meta.flags |= static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  if (meta.gso_size > 0) meta.flags |= static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
  const auto given = std::pair{meta.table, meta.mark};
  packets.back().refused = !parse_packet(mbuf);
  std::tie(meta.table, meta.mark) = given;
  track(meta, reader, path);
  reader.each("takenSources", [this](const Json& source, const std::string& at) { add_taken(source, at); });
}

void RowPackets::add_taken(const Json& json, const std::string& path) {
  JsonReader reader(json, path, error_);
  const auto address = reader.address("address");
  const auto port = static_cast<uint16_t>(reader.number("port", 0, UINT16_MAX));
  if (address) packets.back().taken.push_back(make_source(address->family, address->bytes.data(), port));
}

void RowPackets::give_link_header(rte_mbuf* mbuf, JsonReader& reader, const std::string& path) {
  const std::string link = reader.text("link");
  std::vector<uint8_t> bytes;
  if (!from_hex(link, bytes) || bytes.size() > rte_pktmbuf_headroom(mbuf)) {
    return reader.fail(path + "/link",
                       "must be hex, of at most " + std::to_string(rte_pktmbuf_headroom(mbuf)) + " bytes");
  }
  std::copy(bytes.begin(), bytes.end(), rte_pktmbuf_mtod(mbuf, uint8_t*) - bytes.size());
  meta_of(mbuf)->l2_length = static_cast<uint8_t>(bytes.size());
}

void RowPackets::track(PacketMeta& meta, JsonReader& reader, const std::string& path) {
  const std::string flow = reader.text("flow");
  bool first = false;
  if (!flow.empty()) {
    first = flows_.count(flow) == 0;
    if (flows_.size() == kRowFlows) return reader.fail(path + "/flow", "is one flow too many");
    meta.flow = flows_.emplace(flow, static_cast<uint32_t>(flows_.size() + 1)).first->second;
  }
  if (const std::string left = reader.text("flowState"); !left.empty() && meta.flow != 0) {
    std::vector<uint8_t> bytes;
    if (!from_hex(left, bytes) || bytes.size() > kSlotBytes) return reader.fail(path + "/flowState", "must be hex");
    packets.back().flow_state = bytes;
  }
  const std::string state = reader.text("ctState", flow.empty() ? "untracked" : first ? "new" : "established");
  const auto* found = std::find(std::begin(kCtStates), std::end(kCtStates), state);
  if (found == std::end(kCtStates)) return reader.fail(path + "/ctState", "is no conntrack state");
  meta.ct_state = static_cast<uint8_t>(found - std::begin(kCtStates));
  meta.ct_direction = reader.text("direction", "original") == "reply" ? 1 : 0;
}

}  // namespace sluice
