#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace sluice {

constexpr uint8_t kMaxFlowPlugins = 8;  ///< plugins with flow state; a flow record has as many schema bytes

/// Where the stages' state lies in the flow records: plain memory owned by the flow table, addressed by flow number.
/// A schema byte of 0 says that the slot has not been written since the flow began; what the slot holds then is not
/// read.
struct FlowSlots {
  uint8_t* slots = nullptr;    ///< the plugin area of flow 0
  uint32_t slot_stride = 0;    ///< bytes from one flow's area to the next one's
  uint8_t* schemas = nullptr;  ///< uint8_t[kMaxFlowPlugins] of flow 0
  uint32_t schema_stride = 0;
  uint32_t flows = 0;           ///< flow numbers are below this
  uint16_t bytes_per_flow = 0;  ///< size of a plugin area

  uint8_t* slot(uint32_t flow, uint16_t offset) const { return slots + size_t{flow} * slot_stride + offset; }
  uint8_t& schema(uint32_t flow, uint8_t index) const { return schemas[size_t{flow} * schema_stride + index]; }
};

/// A plugin's part of every flow's plugin area.
struct SlotAssignment {
  uint8_t index = 0;  ///< of its schema byte
  uint16_t offset = 0;
  uint16_t size = 0;  ///< bytes; 0: the plugin has no flow state
};

/// Who owns which part of the plugin area, by plugin name. A plugin keeps its part while it is out of the pipeline,
/// until the room is needed. Its text form is kept beside the flow file, so that a restarted dataplane reads old flows
/// rightly.
class SlotRegistry {
 public:
  struct Entry {
    std::string plugin;  ///< empty: free
    SlotAssignment slot;
    uint8_t schema = 0;  ///< last schema version that was assigned
    bool in_use = false;
  };

  explicit SlotRegistry(uint16_t bytes_per_flow = 64) : bytes_per_flow_(bytes_per_flow) {}

  /// The part that `plugin` has, at least `size` bytes. Makes one where there is none, if need be in place of plugins
  /// that are not `in_use`. `fresh` is set when it is new: the caller clears that index's schema byte in all flows
  /// before use.
  Result<SlotAssignment> assign(const std::string& plugin, uint16_t size, uint8_t schema, bool& fresh);

  const Entry* find(const std::string& plugin) const;
  const std::array<Entry, kMaxFlowPlugins>& entries() const { return entries_; }
  void mark_in_use(const std::string& plugin, bool in_use);

  std::string serialize() const;
  static Result<SlotRegistry> parse(const std::string& text, uint16_t bytes_per_flow);

 private:
  Entry* place(uint16_t size);

  uint16_t bytes_per_flow_;
  std::array<Entry, kMaxFlowPlugins> entries_;
};

}  // namespace sluice
