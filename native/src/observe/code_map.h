#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "wasm/module.h"

namespace sluice {

/// From addresses of compiled code back to the module's file: the image that Wasmtime holds in memory is an ELF file
/// with symbols and an address map (sections .symtab and .wasmtime.addrmap). Off the packet path.
class CodeMap {
 public:
  /// Keeps the module. Error when the image is not as this version of Wasmtime makes it.
  static Result<CodeMap> of(std::shared_ptr<const WasmModule> module);

  /// Any address; false when it is not in the module's image.
  bool contains(uint64_t address) const { return address >= start_ && address < end_; }

  struct Place {
    std::string function;  ///< its name, or "function 12"; empty: code that Wasmtime added
    int64_t offset;        ///< of the WebAssembly instruction in the module's file; -1: none
  };
  Place find(uint64_t address) const;

 private:
  struct Symbol {
    uint64_t offset, size;  ///< in the text
    std::string name;
  };

  bool read_sections();
  void read_symbols(const uint8_t* table, uint64_t size, const char* names, uint64_t names_size, uint16_t text);
  int64_t file_offset(uint32_t text_offset) const;

  std::shared_ptr<const WasmModule> module_;
  uint64_t start_ = 0, end_ = 0;
  uint64_t text_ = 0, text_size_ = 0;  ///< address of the text, and its size
  const uint8_t* map_ = nullptr;       ///< the address map
  uint64_t map_size_ = 0;
  std::vector<Symbol> symbols_;  ///< functions, by offset
};

}  // namespace sluice
