#include "observe/flow_listing.h"

#include <netinet/in.h>
#include <rte_byteorder.h>

#include <algorithm>

#include "core/clock.h"
#include "l3/address.h"
#include "wasm/trap.h"

namespace sluice {

namespace {

FlowRow::Side side_of(const FlowKey& key) {
  const auto text = [&](const std::array<uint8_t, 16>& bytes) {
    return to_text(make_address(key.family, bytes.data()));
  };
  return {text(key.source), text(key.destination), rte_be_to_cpu_16(key.source_port),
          rte_be_to_cpu_16(key.destination_port)};
}

/// TCP's and SCTP's own states: "tcp_fin_wait" is "fin-wait". Other flows have seen a reply or not.
std::string state_text(const FlowView& flow) {
  if (flow.original.protocol != IPPROTO_TCP && flow.original.protocol != IPPROTO_SCTP) {
    return flow.seen_reply ? "established" : "new";
  }
  std::string name = name_of(flow.state);
  name.erase(0, name.find('_') + 1);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

bool has_address(const FlowKey& key, const IpAddress& address) {
  if (key.family != address.family) return false;
  const uint8_t bytes = address_bytes(address.family);
  return memcmp(key.source.data(), address.bytes.data(), bytes) == 0 ||
         memcmp(key.destination.data(), address.bytes.data(), bytes) == 0;
}

bool matches(const FlowView& flow, const FlowQuery& query) {
  if (query.protocol && flow.original.protocol != *query.protocol) return false;
  if (query.address && !has_address(flow.original, *query.address) && !has_address(flow.reply, *query.address)) {
    return false;
  }
  if (!query.port) return true;
  const uint16_t port = rte_cpu_to_be_16(*query.port);
  const auto has_port = [port](const FlowKey& key) {
    return key.family != 0 && (key.source_port == port || key.destination_port == port);
  };
  return has_port(flow.original) || has_port(flow.reply);
}

FlowRow row_of(const FlowView& flow, const SlotRegistry& slots, uint32_t now) {
  FlowRow row;
  row.number = flow.number;
  row.protocol = flow.original.protocol;
  row.original = side_of(flow.original);
  row.reply = side_of(flow.reply.family != 0 ? flow.reply : flow.original.inverse());
  row.state = state_text(flow);
  const auto idle = static_cast<uint32_t>(std::max(0, static_cast<int32_t>(now - flow.last_seen)));
  row.idle_ms = uint64_t{idle} * 1000;
  row.expires_in_ms = uint64_t{flow.timeout > idle ? flow.timeout - idle : 0} * 1000;
  for (const SlotRegistry::Entry& entry : slots.entries()) {
    if (entry.plugin.empty() || entry.slot.size == 0 || flow.slot_schema[entry.slot.index] == 0) continue;
    row.slots.emplace_back(entry.plugin, to_hex(flow.slots + entry.slot.offset, entry.slot.size));
  }
  return row;
}

}  // namespace

std::vector<FlowRow> list_flows(FlowTable& flows, const SlotRegistry& slots, const FlowQuery& query, uint64_t now_ns) {
  std::vector<FlowRow> rows;
  if (query.max == 0) return rows;
  const uint32_t now = seconds_of(now_ns);
  flows.for_each_from(query.first, [&](const FlowView& flow) {
    if (matches(flow, query)) rows.push_back(row_of(flow, slots, now));
    return rows.size() < query.max;
  });
  return rows;
}

}  // namespace sluice
