#pragma once

#include <array>
#include <cstdarg>
#include <memory>
#include <string_view>
#include <vector>

#include "core/tracer.h"
#include "core/worker_context.h"
#include "observe/capture.h"
#include "observe/trace.h"

namespace sluice {

/// All that is watched of one worker's packets. Immutable but for its rings; published by pointer, and dropped when the
/// worker has passed a quiescent state since another was published.
class Watcher final : public Tracer {
 public:
  struct Watched {
    std::array<std::shared_ptr<Trace>, kMaxTraces> traces;  ///< by place; null: none there
    std::array<std::shared_ptr<Capture>, kMaxCaptures> captures;
    bool empty() const;
  };

  Watcher(uint16_t worker, Watched watched) : worker_(worker), watched_(std::move(watched)) {}

  void trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) override;
  void received(WorkerContext& ctx, PortId port, rte_mbuf* const* frames, uint16_t count) override;
  void entered(WorkerContext& ctx, abi::Hook hook, rte_mbuf* const* packets, uint16_t count) override;
  void left_stage(WorkerContext& ctx, const Stage& stage, abi::Hook hook, abi::Verdict verdict, uint32_t cycles,
                  rte_mbuf* const* packets, uint16_t count) override;
  void refused_by_stage(WorkerContext& ctx, const Stage& stage, abi::Hook hook, uint32_t cycles,
                        const rte_mbuf* packet) override;
  void dropped(WorkerContext& ctx, const rte_mbuf* packet, const DropCause& cause) override;
  void sending(WorkerContext& ctx, PortId port, rte_mbuf* const* frames, uint16_t count) override;
  void sent(WorkerContext& ctx, uint16_t count) override;
  void note(WorkerContext& ctx, const rte_mbuf* packet, const char* kind, const char* format, ...) override
      __attribute__((format(printf, 5, 6)));
  void end(WorkerContext& ctx, const rte_mbuf* packet, const char* kind, const char* format, ...) override
      __attribute__((format(printf, 5, 6)));
  void split(WorkerContext& ctx, const rte_mbuf* packet, const char* kind, uint16_t pieces) override;

 private:
  /// A packet at a point of the pipeline.
  struct Sighting {
    PortId port;
    bool framed;
    std::string_view reason = {}, stage = {};  ///< of a drop
  };

  Trace* trace_of(const rte_mbuf* packet) const;
  TraceRecord* begin_record(const rte_mbuf* packet, TraceRecord::Event event, const char* kind);
  void publish(const rte_mbuf* packet);
  void begin_traces(WorkerContext& ctx, Trace& trace, PortId port, rte_mbuf* const* frames, uint16_t count);
  void stage_step(const Stage& stage, abi::Hook hook, abi::Verdict verdict, uint32_t cycles, const rte_mbuf* packet);
  void describe(const rte_mbuf* packet, TraceRecord::Event event, const char* kind, const char* format, va_list values);
  template <typename AtPoint>
  void capture(WorkerContext& ctx, AtPoint at_point, const rte_mbuf* const* packets, uint16_t count,
               const Sighting& sighting, bool publish_now = true);
  void keep(WorkerContext& ctx, Capture& capture, uint32_t point, const rte_mbuf* packet, const Sighting& sighting);

  const uint16_t worker_;
  const Watched watched_;
  uint8_t scratch_[PacketFilter::kReach];
  // Between sending() and sent(): where each ring was before the frame with this index.
  uint16_t sending_count_ = 0;
  uint64_t trace_marks_[kMaxTraces][kMaxBurst + 1];
  uint64_t capture_marks_[kMaxCaptures][kMaxBurst + 1];
};

}  // namespace sluice
