// A stage that does whatever the packets' payloads tell it: it writes anything into the window, moves heads, gives any
// verdict, and calls the host's functions with any arguments, at all hooks. The input is the attacker's on both sides.
#include "path_node.h"

namespace sluice::fuzz {
namespace {

/// A payload is a program: an opcode and its operands, at most eight of them. Addresses are relative to the slot, so
/// that they reach other slots, the burst header, and what is not mapped.
const char* const kPuppet = R"(
  (local $i i32) (local $slot i32) (local $at i32) (local $op i32) (local $step i32) (local $to i32)
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
    (local.set $slot (i32.load offset=16778240 (i32.shl (local.get $i) (i32.const 2))))
    (local.set $at (i32.add (i32.add (local.get $slot) (i32.const 256)) (i32.load16_u offset=18 (local.get $slot))))
    (local.set $step (i32.const 0))
    (block $finished (loop $more
      (br_if $finished (i32.ge_u (local.get $step) (i32.const 8)))
      (local.set $op (i32.load8_u (local.get $at)))
      (br_if $finished (i32.eqz (local.get $op)))
      (local.set $to (i32.add (local.get $slot) (i32.load8_u offset=1 (local.get $at))))
      (if (i32.and (local.get $op) (i32.const 64)) (then
        (local.set $to (i32.add (local.get $slot) (i32.load16_s offset=1 (local.get $at))))))
      (block $end (block $source (block $trace (block $mirror (block $emit (block $payload (block $wild (block $word (block $half (block $byte
        (br_table $byte $half $word $byte $half $payload $emit $mirror $trace $source $wild (i32.and (local.get $op) (i32.const 15))))
        (i32.store8 (local.get $to) (i32.load8_u offset=3 (local.get $at))) (br $end))
        (i32.store16 (local.get $to) (i32.load16_u offset=3 (local.get $at))) (br $end))
        (i32.store (local.get $to) (i32.load offset=3 (local.get $at))) (br $end))
        (if (i32.eq (local.get $op) (i32.const 255)) (then
          (i32.store (i32.shl (i32.load16_u offset=1 (local.get $at)) (i32.const 12)) (i32.const -1)))) (br $end))
        (drop (call $read_payload (local.get $slot) (i32.load16_u offset=1 (local.get $at)) (i32.load16_u offset=3 (local.get $at)))) (br $end))
        (i64.store (i32.const 0x1300000) (i64.load offset=256 (local.get $slot)))
        (i64.store (i32.const 0x1300008) (i64.load offset=264 (local.get $slot)))
        (i64.store (i32.const 0x1300010) (i64.load offset=272 (local.get $slot)))
        (i64.store (i32.const 0x1300018) (i64.load offset=280 (local.get $slot)))
        (drop (call $emit (i32.load16_u offset=1 (local.get $at)) (i32.load8_u offset=3 (local.get $at)))) (br $end))
        (drop (call $mirror (local.get $slot) (i32.load8_u offset=1 (local.get $at)) (i32.load16_u offset=3 (local.get $at)))) (br $end))
        (call $trace (local.get $slot) (i32.load8_u offset=1 (local.get $at)) (i64.const 1)) (br $end))
        (drop (call $source_taken (local.get $slot) (i64.load offset=256 (local.get $slot)) (i64.load offset=1 (local.get $at)) (i32.load16_u offset=3 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 7)))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (br $more)))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br $next))))";

void place_stages(testing::Path& path) {
  testing::StageText puppet;
  puppet.process = kPuppet;
  puppet.manifest = {{"flowState", {{"size", 8}, {"schema", 1}}}, {"dropReasons", {"own"}}, {"failure", "FailOpen"}};
  path.stages({{abi::Hook::PREROUTING, puppet},
               {abi::Hook::FORWARD, puppet},
               {abi::Hook::FORWARD, puppet},
               {abi::Hook::POSTROUTING, puppet},
               {abi::Hook::INPUT, puppet},
               {abi::Hook::OUTPUT, puppet}});
}

bool any_failed(const WasmHost& host) {
  for (const PluginStatus& status : host.status()) {
    if (status.last_trap.has_value()) return true;
  }
  return false;
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::fuzz;  // NOLINT
  static PathNode& node = *[] {
    auto* made = new PathNode(true);
    made->stages_write = true;
    place_stages(made->path);
    return made;
  }();
  Source source(data, size);
  node.attack(source);
  if (any_failed(*node.path.host)) place_stages(node.path);
  return 0;
}
