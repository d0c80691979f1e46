#include "wasm/modules.h"

#include <wasmtime.h>

#include <cstdio>
#include <cstdlib>

#include "generated/abi.h"
#include "wasm/sha256.h"
#include "wasm/trap.h"

namespace sluice::testing {

namespace {

const char* kDefaultManifest =
    R"({"abi": 1, "name": "test", "version": "1.0.0", "hooks": ["prerouting", "forward", "postrouting"],
  "headerBytes": 64, "writes": false, "flowState": null, "counters": [], "dropReasons": [], "segmentBytes": 0})";

void put_leb(std::vector<uint8_t>& out, size_t value) {
  do {
    const auto low = static_cast<uint8_t>(value & 0x7f);
    value >>= 7;
    out.push_back(static_cast<uint8_t>(value != 0 ? low | 0x80 : low));
  } while (value != 0);
}

std::string access(const char* instruction, uint32_t field, const std::string& value) {
  return std::string("(") + instruction + " offset=" + std::to_string(field) + " (local.get $slot) " + value + ")";
}

}  // namespace

const char* const kAllImports = R"(
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "sluice" "read_payload" (func $read_payload (param i32 i32 i32) (result i32)))
  (import "sluice" "emit" (func $emit (param i32 i32) (result i32)))
  (import "sluice" "mirror" (func $mirror (param i32 i32 i32) (result i32)))
  (import "sluice" "trace" (func $trace (param i32 i32 i64)))
  (import "sluice" "source_taken" (func $source_taken (param i32 i64 i64 i32) (result i32))))";

std::string i32(uint32_t value) {
  return "(i32.const " + std::to_string(static_cast<int32_t>(value)) + ")";
}
std::string store8(uint32_t field, const std::string& value) {
  return access("i32.store8", field, value);
}
std::string store16(uint32_t field, const std::string& value) {
  return access("i32.store16", field, value);
}
std::string store32(uint32_t field, const std::string& value) {
  return access("i32.store", field, value);
}
std::string load8(uint32_t field) {
  return access("i32.load8_u", field, "");
}
std::string load16(uint32_t field) {
  return access("i32.load16_u", field, "");
}
std::string load32(uint32_t field) {
  return access("i32.load", field, "");
}
std::string set_flag(uint32_t bit) {
  return store16(abi::kSlotFlags, "(i32.or " + load16(abi::kSlotFlags) + " " + i32(bit) + ")");
}

std::string for_each_slot(const std::string& code) {
  return R"((local $i i32) (local $slot i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
      (local.set $slot (i32.load offset=)" +
         std::to_string(abi::kWindowBase + abi::kSlotListOffset) + R"( (i32.shl (local.get $i) (i32.const 2))))
      )" +
         code +
         R"(
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))";
}

std::vector<uint8_t> assemble(const std::string& wat) {
  wasm_byte_vec_t bytes;
  if (wasmtime_error_t* error = wasmtime_wat2wasm(wat.data(), wat.size(), &bytes); error != nullptr) {
    std::fprintf(stderr, "%s\n%s\n", take_message(error).c_str(), wat.c_str());
    std::abort();
  }
  std::vector<uint8_t> module(bytes.data, bytes.data + bytes.size);
  wasm_byte_vec_delete(&bytes);
  return module;
}

void add_custom_section(std::vector<uint8_t>& module, const std::string& name, const std::string& content) {
  std::vector<uint8_t> section;
  put_leb(section, name.size());
  section.insert(section.end(), name.begin(), name.end());
  section.insert(section.end(), content.begin(), content.end());
  module.push_back(0);
  put_leb(module, section.size());
  module.insert(module.end(), section.begin(), section.end());
}

std::vector<uint8_t> StageText::build() const {
  std::vector<uint8_t> module =
      assemble("(module " + imports + memory + abi +
               R"((func (export "process") (param $hook i32) (param $count i32) )" + process + ")" + extra + ")");
  nlohmann::json text = nlohmann::json::parse(kDefaultManifest);
  if (!manifest.is_null()) text.merge_patch(manifest);
  add_custom_section(module, abi::MANIFEST_SECTION, text.dump());
  return module;
}

std::string digest_of(const std::vector<uint8_t>& module) {
  return sha256_hex(module.data(), module.size());
}

}  // namespace sluice::testing
