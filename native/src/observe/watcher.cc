#include "observe/watcher.h"

#include <rte_cycles.h>
#include <rte_ether.h>

#include <algorithm>
#include <cstdio>

#include "core/drop_log.h"
#include "observe/frame.h"
#include "port/port.h"
#include "wasm/pipeline.h"
#include "wasm/plugin.h"

namespace sluice {

namespace {

const PacketMeta& facts_of(const rte_mbuf* packet) {
  return *meta_of(const_cast<rte_mbuf*>(packet));
}

std::string_view port_name(const WorkerContext& ctx, PortId id) {
  const Port* port = ctx.ports != nullptr ? ctx.ports->at(id) : nullptr;
  return port != nullptr ? std::string_view(port->name) : std::string_view();
}

/// Bytes of a frame's link header: Ethernet and VLAN tags.
uint16_t link_length(const rte_mbuf* frame) {
  constexpr uint16_t kTag = 4, kMostTags = 2;
  const auto* bytes = rte_pktmbuf_mtod(frame, const uint8_t*);
  uint16_t length = RTE_ETHER_HDR_LEN;
  for (uint16_t tags = 0; tags < kMostTags && frame->data_len >= length; tags++) {
    const uint16_t type = static_cast<uint16_t>(bytes[length - 2] << 8 | bytes[length - 1]);
    if (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ) break;
    length = static_cast<uint16_t>(length + kTag);
  }
  return frame->data_len >= length ? length : 0;
}

/// What is shown of a frame begins behind its link header when that says IP.
uint16_t shown_from(const rte_mbuf* frame) {
  const uint16_t link = link_length(frame);
  if (link == 0 || frame->data_len <= link) return 0;
  const auto* bytes = rte_pktmbuf_mtod(frame, const uint8_t*);
  const uint16_t type = static_cast<uint16_t>(bytes[link - 2] << 8 | bytes[link - 1]);
  return type == RTE_ETHER_TYPE_IPV4 || type == RTE_ETHER_TYPE_IPV6 ? link : 0;
}

/// What is shown of a packet; of a frame, from `skipped` bytes of its data on.
void show(TraceRecord& record, const rte_mbuf* packet, uint16_t skipped) {
  if (skipped == 0) {
    const uint16_t before = shown_before(packet);
    record.length = packet->pkt_len + before;
    record.shown = static_cast<uint16_t>(copy_bytes(packet, before, record.bytes, kShownBytes));
    return;
  }
  uint8_t bytes[kShownBytes + 64];
  const uint32_t copied = copy_bytes(packet, 0, bytes, kShownBytes + skipped);
  record.length = packet->pkt_len - skipped;
  record.shown = static_cast<uint16_t>(copied > skipped ? copied - skipped : 0);
  std::memcpy(record.bytes, bytes + skipped, record.shown);
}

}  // namespace

bool Watcher::Watched::empty() const {
  const auto none = [](const auto& watched) { return watched == nullptr; };
  return std::all_of(traces.begin(), traces.end(), none) && std::all_of(captures.begin(), captures.end(), none);
}

Trace* Watcher::trace_of(const rte_mbuf* packet) const {
  const uint32_t mark = facts_of(packet).traced;
  if (likely(mark == 0)) return nullptr;
  Trace* trace = watched_.traces[Trace::place_of(mark)].get();
  return trace != nullptr && trace->owns(mark) ? trace : nullptr;
}

/// Null when the packet is not traced, or there is no room. The caller fills the rest in and publishes.
TraceRecord* Watcher::begin_record(const rte_mbuf* packet, TraceRecord::Event event, const char* kind) {
  Trace* trace = trace_of(packet);
  if (trace == nullptr) return nullptr;
  auto* record = reinterpret_cast<TraceRecord*>(trace->ring(worker_).reserve(sizeof(TraceRecord)));
  if (record == nullptr) return nullptr;
  std::memset(record, 0, offsetof(TraceRecord, bytes));
  record->tsc = rte_rdtsc();
  record->number = Trace::number_of(facts_of(packet).traced);
  record->worker = worker_;
  record->event = event;
  copy_name(record->kind, kind);
  return record;
}

void Watcher::publish(const rte_mbuf* packet) {
  trace_of(packet)->ring(worker_).publish();
}

void Watcher::received(WorkerContext& ctx, PortId port, rte_mbuf* const* frames, uint16_t count) {
  for (const auto& trace : watched_.traces) {
    if (trace != nullptr && trace->wants_more()) begin_traces(ctx, *trace, port, frames, count);
  }
  const auto at_rx = [](const CapturePoint& point) { return point.kind == CapturePoint::Kind::Rx; };
  capture(ctx, at_rx, frames, count, {port, true});
}

void Watcher::begin_traces(WorkerContext& ctx, Trace& trace, PortId port, rte_mbuf* const* frames, uint16_t count) {
  for (uint16_t i = 0; i < count; i++) {
    PacketMeta& meta = *meta_of(frames[i]);
    if (meta.traced != 0) continue;  // another trace has it
    const Frame frame(frames[i], true);
    uint32_t captured;
    const uint8_t* bytes = frame.start(scratch_, sizeof scratch_, captured);
    if (!trace.filter().matches(bytes, frame.length(), captured)) continue;
    const uint32_t number = trace.take_number();
    if (number == 0) return;
    meta.traced = trace.mark(number);
    TraceRecord* record = begin_record(frames[i], TraceRecord::Event::Begin, "rx");
    if (record == nullptr) {  // its way could not be told from the start
      meta.traced = 0;
      trace.give_back();
      return;
    }
    meta.flags |= static_cast<uint16_t>(abi::Flag::TRACED);
    record->wall_ns = ctx.wall_ns;
    const std::string_view name = port_name(ctx, port);
    std::snprintf(record->detail, sizeof record->detail, "port %.*s", static_cast<int>(name.size()), name.data());
    show(*record, frames[i], shown_from(frames[i]));
    trace.ring(worker_).publish();
  }
}

void Watcher::entered(WorkerContext& ctx, abi::Hook hook, rte_mbuf* const* packets, uint16_t count) {
  const auto at_hook = [hook](const CapturePoint& point) {
    return point.kind == CapturePoint::Kind::Hook && point.hook == hook;
  };
  capture(ctx, at_hook, packets, count, {kNoPort, false});
}

void Watcher::left_stage(WorkerContext& ctx, const Stage& stage, abi::Hook hook, abi::Verdict verdict, uint32_t cycles,
                         rte_mbuf* const* packets, uint16_t count) {
  for (uint16_t i = 0; i < count; i++) stage_step(stage, hook, verdict, cycles, packets[i]);
  const auto behind = [&stage](const CapturePoint& point) {
    return point.kind == CapturePoint::Kind::Stage && point.stage == stage.config.name;
  };
  capture(ctx, behind, packets, count, {kNoPort, false});
}

void Watcher::refused_by_stage(WorkerContext&, const Stage& stage, abi::Hook hook, uint32_t cycles,
                               const rte_mbuf* packet) {
  stage_step(stage, hook, abi::Verdict::DROP, cycles, packet);
}

void Watcher::stage_step(const Stage& stage, abi::Hook hook, abi::Verdict verdict, uint32_t cycles,
                         const rte_mbuf* packet) {
  TraceRecord* record = begin_record(packet, TraceRecord::Event::Stage, "stage");
  if (record == nullptr) return;
  copy_name(record->stage, stage.config.name);
  record->hook = static_cast<uint8_t>(hook);
  record->verdict = static_cast<uint8_t>(verdict);
  record->cycles = cycles;
  show(*record, packet, 0);
  publish(packet);
}

void Watcher::trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) {
  TraceRecord* record = begin_record(packet, TraceRecord::Event::Value, "value");
  if (record == nullptr) return;
  copy_name(record->stage, stage.config.name);
  copy_name(record->name, stage.plugin->manifest().trace_values[name]);
  record->value = value;
  publish(packet);
}

void Watcher::dropped(WorkerContext& ctx, const rte_mbuf* packet, const DropCause& cause) {
  if (TraceRecord* record = begin_record(packet, TraceRecord::Event::Drop, "drop"); record != nullptr) {
    copy_name(record->stage, cause.stage);
    copy_name(record->name, cause.name);
    show(*record, packet, 0);
    publish(packet);
  }
  const auto at_drop = [](const CapturePoint& point) { return point.kind == CapturePoint::Kind::Drop; };
  capture(ctx, at_drop, &packet, 1, {kNoPort, false, cause.name, cause.stage});
}

void Watcher::sending(WorkerContext& ctx, PortId port, rte_mbuf* const* frames, uint16_t count) {
  // A port may free or change what it takes, so all is noted before, and taken back for those that it did not take.
  sending_count_ = count;
  const auto at_tx = [](const CapturePoint& point) { return point.kind == CapturePoint::Kind::Tx; };
  const std::string_view name = port_name(ctx, port);
  const auto mark = [this](uint16_t frame) {
    for (size_t i = 0; i < kMaxTraces; i++) {
      if (watched_.traces[i] != nullptr) trace_marks_[i][frame] = watched_.traces[i]->ring(worker_).position();
    }
    for (size_t i = 0; i < kMaxCaptures; i++) {
      if (watched_.captures[i] != nullptr) capture_marks_[i][frame] = watched_.captures[i]->rings[worker_]->position();
    }
  };
  for (uint16_t i = 0; i < count; i++) {
    mark(i);
    if (TraceRecord* record = begin_record(frames[i], TraceRecord::Event::Sent, "tx"); record != nullptr) {
      char to[RTE_ETHER_ADDR_FMT_SIZE];
      rte_ether_format_addr(to, sizeof to, rte_pktmbuf_mtod(frames[i], const rte_ether_addr*));
      std::snprintf(record->detail, sizeof record->detail, "port %.*s to %s", static_cast<int>(name.size()),
                    name.data(), to);
      show(*record, frames[i], facts_of(frames[i]).l2_length);
    }
    capture(ctx, at_tx, &frames[i], 1, {port, true}, false);
  }
  mark(count);
}

void Watcher::sent(WorkerContext&, uint16_t count) {
  count = std::min(count, sending_count_);
  for (size_t i = 0; i < kMaxTraces; i++) {
    if (watched_.traces[i] == nullptr) continue;
    watched_.traces[i]->ring(worker_).rewind(trace_marks_[i][count]);
    watched_.traces[i]->ring(worker_).publish();
  }
  for (size_t i = 0; i < kMaxCaptures; i++) {
    if (watched_.captures[i] == nullptr) continue;
    watched_.captures[i]->rings[worker_]->rewind(capture_marks_[i][count]);
    watched_.captures[i]->rings[worker_]->publish();
  }
}

void Watcher::describe(const rte_mbuf* packet, TraceRecord::Event event, const char* kind, const char* format,
                       va_list values) {
  TraceRecord* record = begin_record(packet, event, kind);
  if (record == nullptr) return;
  std::vsnprintf(record->detail, sizeof record->detail, format, values);
  if (event == TraceRecord::Event::Step) show(*record, packet, 0);
  publish(packet);
}

void Watcher::note(WorkerContext&, const rte_mbuf* packet, const char* kind, const char* format, ...) {
  va_list values;
  va_start(values, format);
  describe(packet, TraceRecord::Event::Step, kind, format, values);
  va_end(values);
}

void Watcher::end(WorkerContext&, const rte_mbuf* packet, const char* kind, const char* format, ...) {
  va_list values;
  va_start(values, format);
  describe(packet, TraceRecord::Event::End, kind, format, values);
  va_end(values);
}

void Watcher::split(WorkerContext&, const rte_mbuf* packet, const char* kind, uint16_t pieces) {
  TraceRecord* record = begin_record(packet, TraceRecord::Event::Split, kind);
  if (record == nullptr) return;
  record->pieces = pieces;
  std::snprintf(record->detail, sizeof record->detail, "into %u", pieces);
  publish(packet);
}

template <typename AtPoint>
void Watcher::capture(WorkerContext& ctx, AtPoint at_point, const rte_mbuf* const* packets, uint16_t count,
                      const Sighting& sighting, bool publish_now) {
  for (const auto& capture : watched_.captures) {
    if (capture == nullptr) continue;
    for (uint32_t point = 0; point < capture->points.size(); point++) {
      if (!at_point(capture->points[point])) continue;
      for (uint16_t i = 0; i < count; i++) keep(ctx, *capture, point, packets[i], sighting);
      if (publish_now) capture->rings[worker_]->publish();
    }
  }
}

void Watcher::keep(WorkerContext& ctx, Capture& capture, uint32_t point, const rte_mbuf* packet,
                   const Sighting& sighting) {
  const std::string_view port = port_name(ctx, sighting.port != kNoPort ? sighting.port : facts_of(packet).in_port);
  if (!capture.ports.empty() && std::find(capture.ports.begin(), capture.ports.end(), port) == capture.ports.end()) {
    return;
  }
  const Frame frame(packet, sighting.framed);
  if (!capture.filter.matches_all()) {
    uint32_t seen;
    const uint8_t* bytes = frame.start(scratch_, sizeof scratch_, seen);
    if (!capture.filter.matches(bytes, frame.length(), seen)) return;
  }
  const uint32_t kept = std::min(frame.length(), capture.snap_length);
  uint8_t* to = capture.rings[worker_]->reserve(static_cast<uint32_t>(sizeof(CaptureRecord)) + kept);
  if (to == nullptr) return;
  auto* record = reinterpret_cast<CaptureRecord*>(to);
  record->wall_ns = ctx.wall_ns;
  record->length = frame.length();
  record->captured = frame.copy(to + sizeof *record, kept);
  record->point = point;
  copy_name(record->port, port);
  copy_name(record->reason, sighting.reason);
  copy_name(record->stage, sighting.stage);
}

}  // namespace sluice
