#include "observe/trace_reader.h"

#include <rte_cycles.h>
#include <rte_ether.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "wasm/manifest.h"
#include "wasm/trap.h"

namespace sluice {

namespace {

using Event = TraceRecord::Event;

uint64_t nanoseconds(uint64_t cycles) {
  return static_cast<uint64_t>(static_cast<double>(cycles) * 1e9 / static_cast<double>(rte_get_tsc_hz()));
}

const char* verdict_name(uint8_t verdict) {
  static constexpr const char* kNames[] = {"pass", "drop", "redirect", "reinput", "reply"};
  return verdict < std::size(kNames) ? kNames[verdict] : "?";
}

/// Runs of bytes that differ between what was before and is now. Where the packet grew or shrank at its head, what was
/// put there or taken away comes first, and the rest is compared byte for byte behind it.
std::vector<TraceStep::Rewrite> compare(const TraceRecord& before, const TraceRecord& now, bool head_moves) {
  std::vector<TraceStep::Rewrite> rewrites;
  const int64_t grown = head_moves ? int64_t{now.length} - before.length : 0;
  const auto put = static_cast<uint32_t>(std::clamp<int64_t>(grown, 0, now.shown));
  const auto taken = static_cast<uint32_t>(std::clamp<int64_t>(-grown, 0, before.shown));
  if (put > 0 || taken > 0) rewrites.push_back({0, to_hex(before.bytes, taken), to_hex(now.bytes, put)});
  const uint32_t common = std::min(now.shown - put, before.shown - taken);
  const auto differs = [&](uint32_t at) { return now.bytes[put + at] != before.bytes[taken + at]; };
  for (uint32_t from = 0, to = 0; from < common; from = to + 1) {
    for (to = from; to < common && differs(to);) to++;
    if (to == from) continue;
    rewrites.push_back(
        {put + from, to_hex(before.bytes + taken + from, to - from), to_hex(now.bytes + put + from, to - from)});
  }
  return rewrites;
}

bool moves_head(const TraceRecord& record) {
  const std::string kind = record.kind;
  return record.event == Event::Stage || record.event == Event::Sent || kind == "decap" || kind == "originate";
}

TraceStep make_step(const TraceRecord& record) {
  TraceStep step;
  step.kind = record.kind;
  step.detail = record.detail;
  step.stage = record.stage;
  if (record.event == Event::Stage) {
    step.hook = hook_name(static_cast<abi::Hook>(record.hook));
    step.verdict = verdict_name(record.verdict);
    step.cycles = record.cycles;
  }
  if (record.event == Event::Drop) step.reason = record.name;
  return step;
}

}  // namespace

std::string summarize(const uint8_t* bytes, uint32_t shown, uint32_t length) {
  const uint8_t version = shown > 0 ? bytes[0] >> 4 : 0;
  const bool ip = (version == 4 && (bytes[0] & 15) >= 5 && shown >= 20) || (version == 6 && shown >= 40);
  if (ip || shown < sizeof(rte_ether_hdr)) return summarize_packet(bytes, shown, length);
  rte_ether_hdr header;
  std::memcpy(&header, bytes, sizeof header);
  char text[96], from[RTE_ETHER_ADDR_FMT_SIZE], to[RTE_ETHER_ADDR_FMT_SIZE];
  rte_ether_format_addr(from, sizeof from, &header.src_addr);
  rte_ether_format_addr(to, sizeof to, &header.dst_addr);
  std::snprintf(text, sizeof text, "Ethernet %s > %s type 0x%04x, %u bytes", from, to,
                rte_be_to_cpu_16(header.ether_type), length);
  return text;
}

TracedPacket tell_way(std::vector<TraceRecord> records, bool timed_out) {
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.tsc < b.tsc; });
  const TraceRecord& begin = records.front();
  TracedPacket packet;
  packet.number = begin.number;
  packet.worker = begin.worker;
  packet.wall_ns = begin.wall_ns;
  packet.length = begin.length;
  packet.hex = to_hex(begin.bytes, begin.shown);
  packet.summary = summarize(begin.bytes, begin.shown, begin.length);
  const TraceRecord* shown = &begin;
  bool whole = true;  // not cut into pieces yet, which are other packets
  std::vector<TraceStep::Value> values;
  for (const TraceRecord& record : records) {
    if (record.event == Event::Value) {
      values.push_back({record.name, record.value});
      continue;
    }
    TraceStep step = make_step(record);
    step.after_ns = nanoseconds(record.tsc - begin.tsc);
    if (record.event == Event::Stage || record.event == Event::Drop) step.values = std::exchange(values, {});
    if (record.event == Event::Split) whole = false;
    if (record.shown > 0 && whole && &record != &begin) {
      step.rewrites = compare(*shown, record, moves_head(record));
      shown = &record;
    }
    packet.steps.push_back(std::move(step));
  }
  if (timed_out) {
    TraceStep step;
    step.kind = "lost";
    step.detail = "nothing more was heard of it";
    step.after_ns = packet.steps.back().after_ns;
    packet.steps.push_back(std::move(step));
  }
  return packet;
}

void TraceReader::add(const TraceRecord& record) {
  const bool begins = record.event == Event::Begin;
  const auto known = pending_.find(record.number);
  // A worker's ring may be read before that of the one that had the packet before it.
  if (known == pending_.end() && !begins && record.number < finished_) return;
  Pending& pending = pending_[record.number];
  finished_ = std::max(finished_, record.number + 1);
  pending.begun = pending.begun || begins;
  pending.last_tsc = std::max(pending.last_tsc, record.tsc);
  if (record.event == Event::Split) pending.open += record.pieces - 1;
  if (record.event == Event::Sent || record.event == Event::Drop || record.event == Event::End) pending.open--;
  pending.records.push_back(record);
}

void TraceReader::drain() {
  for (const auto& ring : trace_->rings()) {
    uint32_t size;
    while (const uint8_t* bytes = ring->front(size)) {
      TraceRecord record;
      std::memcpy(&record, bytes, sizeof record);
      ring->pop();
      add(record);
    }
  }
}

bool TraceReader::silent(const Pending& pending, uint64_t now_tsc) const {
  if (now_tsc < pending.last_tsc) return false;
  const bool fragment = std::strcmp(pending.records.back().kind, "reassembly") == 0;
  return nanoseconds(now_tsc - pending.last_tsc) > (fragment ? kFragmentSilenceNs : kSilenceNs);
}

TraceRead TraceReader::read(uint64_t now_tsc) {
  drain();
  std::vector<uint32_t> ended;
  for (const auto& [number, pending] : pending_) {
    if (pending.begun && pending.open <= 0) ended.push_back(number);
  }
  // What another worker noted before it handed the packet on was in its ring before the end that was just seen.
  drain();
  TraceRead result;
  for (const uint32_t number : ended) {
    result.packets.push_back(tell_way(std::move(pending_[number].records), false));
    pending_.erase(number);
  }
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (!silent(it->second, now_tsc)) {
      ++it;
      continue;
    }
    if (it->second.begun) result.packets.push_back(tell_way(std::move(it->second.records), true));
    it = pending_.erase(it);
  }
  std::sort(result.packets.begin(), result.packets.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  result.left = trace_->left();
  result.in_work = static_cast<uint32_t>(pending_.size());
  for (const auto& ring : trace_->rings()) result.lost += ring->lost();
  return result;
}

}  // namespace sluice
