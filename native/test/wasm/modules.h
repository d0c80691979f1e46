#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::testing {

/// WAT for `process` that runs `code` for each slot of the list, whose address is in $slot and number in $i.
std::string for_each_slot(const std::string& code);

/// Imports of all host functions: $abort, $read_payload, $emit, $mirror, $trace, $source_taken.
extern const char* const kAllImports;

/// A stage in WebAssembly text. The defaults are a correct stage that does nothing.
struct StageText {
  std::string process = {};           ///< body of process(hook, count)
  std::string extra = {};             ///< more of the module: functions, data
  nlohmann::json manifest = nullptr;  ///< merged over the default manifest
  std::string imports = R"((import "env" "abort" (func $abort (param i32 i32 i32 i32))))";
  std::string memory = R"((memory (export "memory") 3328 3328))";
  std::string abi = R"((func (export "sluice_abi_version") (result i32) (i32.const 1)))";

  std::vector<uint8_t> build() const;
};

/// Assembles text; a test with broken text fails loudly.
std::vector<uint8_t> assemble(const std::string& wat);
void add_custom_section(std::vector<uint8_t>& module, const std::string& name, const std::string& content);
std::string digest_of(const std::vector<uint8_t>& module);

/// "offset=<abi offset>" helpers for WAT: a store or load at a field of $slot.
std::string store8(uint32_t field, const std::string& value);
std::string store16(uint32_t field, const std::string& value);
std::string store32(uint32_t field, const std::string& value);
std::string load8(uint32_t field);
std::string load16(uint32_t field);
std::string load32(uint32_t field);
/// "(i32.const value)"
std::string i32(uint32_t value);
/// Sets bits of FLAGS.
std::string set_flag(uint32_t bit);

}  // namespace sluice::testing
