// Mutated modules through the whole load path: checked, compiled, started, configured, and given a burst.
#include <algorithm>

#include "check.h"
#include "source.h"
#include "wasm/node.h"

namespace sluice::fuzz {
namespace {

using testing::for_each_slot;
using testing::StageText;

/// Sound modules to start from, with all that a module can have.
std::vector<std::vector<uint8_t>> sound_modules() {
  StageText plain;
  StageText writer{for_each_slot("(i32.store8 offset=256 (local.get $slot) (i32.const 0x45))")};
  writer.manifest = {{"writes", true}, {"flowState", {{"size", 8}, {"schema", 1}}}, {"counters", {"seen"}}};
  writer.extra =
      "(table 4 funcref) (elem (i32.const 0) $f) (func $f) (global $g (mut i32) (i32.const 7))"
      R"((data (i32.const 64) "data") (func (export "init") (global.set $g (i32.const 1))))";
  StageText configured;
  configured.imports = testing::kAllImports;
  configured.manifest = {{"segmentBytes", 4096}};
  configured.extra =
      R"((func (export "configure") (result i32) (i32.store (i32.const 50331648) (i32.load (i32.const 33554432))) (i32.const 0)))";
  configured.process = "(drop (i32.load (i32.const 50331648)))";
  return {plain.build(), writer.build(), configured.build()};
}

/// A few changes: bytes and bits, pieces taken out, doubled and moved; or no module at all.
std::vector<uint8_t> mutated(Source& source, std::vector<uint8_t> module) {
  if (source.rarely(32)) return source.bytes(source.byte());
  for (uint32_t i = source.below(6); i > 0 && !module.empty(); i--) {
    const size_t at = source.word() % module.size();
    const auto from = module.begin() + static_cast<long>(at);
    const auto to = from + static_cast<long>(std::min<size_t>(source.byte(), module.size() - at));
    switch (source.below(5)) {
      case 0:
        *from = source.byte();
        break;
      case 1:
        *from = static_cast<uint8_t>(*from ^ (1 << source.below(8)));
        break;
      case 2:
        module.erase(from, to);
        break;
      case 3: {
        const std::vector<uint8_t> piece(from, to);
        module.insert(module.begin() + static_cast<long>(source.word() % module.size()), piece.begin(), piece.end());
        break;
      }
      default: {
        const std::vector<uint8_t> piece = source.bytes(source.below(16));
        module.insert(from, piece.begin(), piece.end());
      }
    }
  }
  return module;
}

/// Whatever it does, the packets are dropped, passed, or sent on.
void run(testing::Node& node, const std::string& digest) {
  PluginConfig plugin = testing::Node::plugin("test", digest, "{}");
  plugin.budget_us = 2000;
  if (!node.host->manifest(digest).value().segment_bytes) plugin.config = {};
  auto prepared = node.prepare({plugin});
  if (!prepared) return;
  node.publish(std::move(prepared.value()));
  node.burst({node.udp(), node.udp(300)});
  node.free_all();
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice;        // NOLINT
  using namespace sluice::fuzz;  // NOLINT
  static sluice::testing::Node& node = *new sluice::testing::Node;
  static const auto& sound = *new std::vector<std::vector<uint8_t>>(sound_modules());
  Source source(data, size);
  const std::vector<uint8_t> module = mutated(source, sound[source.below(3)]);
  const std::string digest = sluice::testing::digest_of(module);
  if (node.host->add_module(digest, module.data(), module.size())) run(node, digest);
  FUZZ_CHECK(node.context.buffers_in_use() == 0, "%u buffers leaked", node.context.buffers_in_use());
  return 0;
}
