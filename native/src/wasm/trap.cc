#include "wasm/trap.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace sluice {

namespace {

struct TrapText {
  const char* code;
  const char* message;
};

TrapText text_of(wasmtime_trap_code_t code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      return {"stack-overflow", "the call stack is used up, most likely by endless recursion"};
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return {"memory-out-of-bounds", "an access outside the regions of memory that a stage may use that way"};
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return {"table-out-of-bounds", "an indirect call or access outside its table"};
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
      return {"indirect-call-to-null", "an indirect call to an empty table entry"};
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return {"bad-signature", "an indirect call to a function of another type"};
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
      return {"integer-overflow", "an integer overflow in a division or conversion"};
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
      return {"division-by-zero", "an integer division by zero"};
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return {"bad-conversion", "a float that no integer can hold was converted"};
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return {"unreachable",
              "an unreachable instruction was reached (a failed assertion, or an array index out of range)"};
    default:
      return {"trap", "the module trapped"};
  }
}

std::string to_string(const wasm_name_t* name) {
  return name == nullptr ? "" : std::string(name->data, name->size);
}

std::vector<TrapFrame> frames_of(wasm_frame_vec_t& trace) {
  std::vector<TrapFrame> frames;
  constexpr size_t kShown = 32;
  for (size_t i = 0; i < std::min(trace.size, kShown); i++) {
    const wasm_frame_t* frame = trace.data[i];
    std::string name = to_string(wasmtime_frame_func_name(frame));
    if (name.empty()) name = "function " + std::to_string(wasm_frame_func_index(frame));
    frames.push_back({std::move(name), wasm_frame_module_offset(frame)});
  }
  wasm_frame_vec_delete(&trace);
  return frames;
}

std::string take_text(wasm_name_t& text) {
  size_t size = text.size;
  while (size > 0 && text.data[size - 1] == '\0') size--;
  std::string result(text.data, size);
  wasm_byte_vec_delete(&text);
  return result;
}

}  // namespace

std::string to_text(const TrapFrame& frame) {
  return frame.function + " (offset " + std::to_string(frame.offset) + ")";
}

std::string take_message(wasmtime_error_t* error) {
  wasm_name_t text;
  wasmtime_error_message(error, &text);
  wasmtime_error_delete(error);
  return take_text(text);
}

TrapInfo describe_failure(wasm_trap_t* trap, wasmtime_error_t* error) {
  TrapInfo info;
  wasm_frame_vec_t trace;
  if (trap == nullptr) {  // the host's own traps, such as env.abort's
    info.code = "call-failed";
    wasmtime_error_wasm_trace(error, &trace);
    info.frames = frames_of(trace);
    info.message = take_message(error);
    return info;
  }
  if (error != nullptr) wasmtime_error_delete(error);
  wasmtime_trap_code_t code;
  const TrapText text = wasmtime_trap_code(trap, &code) ? text_of(code) : TrapText{"trap", "the module trapped"};
  info.code = text.code;
  info.message = text.message;
  wasm_trap_trace(trap, &trace);
  info.frames = frames_of(trace);
  wasm_trap_delete(trap);
  return info;
}

std::string to_hex(const uint8_t* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * size);
  for (size_t i = 0; i < size; i++) {
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

std::string summarize_packet(const uint8_t* head, uint32_t readable, uint32_t length) {
  const auto address = [](int family, const uint8_t* bytes) {
    char text[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(family, bytes, text, sizeof(text)));
  };
  const std::string size = ", " + std::to_string(length) + " bytes";
  // RFC 791, section 3.1; RFC 8200, section 3.
  if (readable >= 20 && head[0] >> 4 == 4) {
    return "IPv4 " + address(AF_INET, head + 12) + " > " + address(AF_INET, head + 16) + " protocol " +
           std::to_string(head[9]) + size;
  }
  if (readable >= 40 && head[0] >> 4 == 6) {
    return "IPv6 " + address(AF_INET6, head + 8) + " > " + address(AF_INET6, head + 24) + " next header " +
           std::to_string(head[6]) + size;
  }
  return "no IP header" + size;
}

}  // namespace sluice
