#pragma once

#include <wasm.h>
#include <wasmtime/error.h>
#include <wasmtime/trap.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

struct TrapFrame {
  std::string function;  ///< its name, or "function <index>" where the module has no names
  uint64_t offset = 0;   ///< of the instruction in the module's file
};

/// Why a call into a module did not return, for the operator.
struct TrapInfo {
  std::string code;     ///< kebab-case: budget-exceeded, abort, memory-out-of-bounds, unreachable, stack-overflow, ...
  std::string message;  ///< one sentence; for abort the author's message with file:line:column
  std::vector<TrapFrame> frames;  ///< innermost first
  // Filled in for traps on packets.
  std::string version, digest, hook;
  uint16_t worker = 0;
  uint64_t wall_ns = 0;
  uint32_t packet_index = 0;   ///< in the burst, as far as the stage said
  std::string packet_hex;      ///< first 128 bytes from the L3 header
  std::string packet_summary;  ///< "IPv4 10.0.0.1 > 10.0.0.2 protocol 6, 60 bytes"
};

/// Takes ownership of both; one of them is not null.
TrapInfo describe_failure(wasm_trap_t* trap, wasmtime_error_t* error);

/// "name (offset 17)"
std::string to_text(const TrapFrame& frame);

/// The text of an error. Takes ownership.
std::string take_message(wasmtime_error_t* error);

/// What an operator reads of a packet whose L3 header is at `head`.
std::string summarize_packet(const uint8_t* head, uint32_t readable, uint32_t length);
std::string to_hex(const uint8_t* bytes, size_t size);

}  // namespace sluice
