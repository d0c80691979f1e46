#include "observe/code_map.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace sluice {

namespace {

/// Entries of one block of the address map; the last block has the rest.
constexpr uint32_t kBlockEntries = 128;

/// Reads little-endian base-128 numbers.
class Leb {
 public:
  Leb(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}

  std::optional<uint64_t> unsigned_number() {
    uint64_t value = 0;
    for (int shift = 0; at_ < end_ && shift < 64; shift += 7) {
      value |= uint64_t{*at_ & 0x7fu} << shift;
      if ((*at_++ & 0x80) == 0) return value;
    }
    return std::nullopt;
  }
  std::optional<int64_t> signed_number() {
    uint64_t value = 0;
    for (int shift = 0; at_ < end_ && shift < 64; shift += 7) {
      const uint8_t byte = *at_++;
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift + 7 < 64) value |= ~uint64_t{0} << (shift + 7);
      return static_cast<int64_t>(value);
    }
    return std::nullopt;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

uint32_t read32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// "wasm[0]::function[12]::assembly/index/filter" is told by its last part, and by its number without one. Other code
/// is Wasmtime's own: entries from the host, calls of imports.
std::optional<std::string> function_name(const std::string& symbol) {
  const size_t at = symbol.find("::function[");
  if (at == std::string::npos) return std::nullopt;
  const size_t number = at + std::strlen("::function[");
  const size_t end = symbol.find(']', number);
  if (end == std::string::npos) return std::nullopt;
  const size_t name = symbol.find("::", end);
  if (name != std::string::npos && name + 2 < symbol.size()) return symbol.substr(name + 2);
  return "function " + symbol.substr(number, end - number);
}

}  // namespace

Result<CodeMap> CodeMap::of(std::shared_ptr<const WasmModule> module) {
  CodeMap map;
  void *start = nullptr, *end = nullptr;
  wasmtime_module_image_range(module->compiled(), &start, &end);
  map.start_ = reinterpret_cast<uint64_t>(start);
  map.end_ = reinterpret_cast<uint64_t>(end);
  map.module_ = std::move(module);
  if (!map.read_sections()) {
    return Error{"profile-unavailable", "/plugin",
                 "the compiled module has no symbols or address map that can be read"};
  }
  return map;
}

bool CodeMap::read_sections() {
  const auto* image = reinterpret_cast<const uint8_t*>(start_);
  const uint64_t size = end_ - start_;
  Elf64_Ehdr header;
  if (size < sizeof header) return false;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return false;
  if (header.e_shoff > size || size - header.e_shoff < uint64_t{header.e_shnum} * sizeof(Elf64_Shdr)) return false;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  std::memcpy(sections.data(), image + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr& section : sections) {
    const bool inside = section.sh_offset <= size && section.sh_size <= size - section.sh_offset;
    if (section.sh_type != SHT_NOBITS && !inside) return false;
  }
  if (header.e_shstrndx >= sections.size()) return false;
  const Elf64_Shdr& names = sections[header.e_shstrndx];
  const auto name_of = [&](const Elf64_Shdr& section) {
    if (section.sh_name >= names.sh_size) return std::string();
    const auto* name = reinterpret_cast<const char*>(image + names.sh_offset + section.sh_name);
    return std::string(name, strnlen(name, names.sh_size - section.sh_name));
  };
  uint16_t text = 0;
  for (uint16_t i = 0; i < sections.size(); i++) {
    const std::string name = name_of(sections[i]);
    if (name == ".text") {
      text = i;
      text_ = start_ + sections[i].sh_offset;
      text_size_ = sections[i].sh_size;
    } else if (name == ".wasmtime.addrmap") {
      map_ = image + sections[i].sh_offset;
      map_size_ = sections[i].sh_size;
    }
  }
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& strings = sections[section.sh_link];
    read_symbols(image + section.sh_offset, section.sh_size, reinterpret_cast<const char*>(image + strings.sh_offset),
                 strings.sh_size, text);
  }
  return text_ != 0 && map_ != nullptr && !symbols_.empty();
}

void CodeMap::read_symbols(const uint8_t* table, uint64_t size, const char* names, uint64_t names_size, uint16_t text) {
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, table + at, sizeof symbol);
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx != text || symbol.st_name >= names_size) continue;
    const std::string full(names + symbol.st_name, strnlen(names + symbol.st_name, names_size - symbol.st_name));
    symbols_.push_back({symbol.st_value, symbol.st_size, function_name(full).value_or("")});
  }
  std::sort(symbols_.begin(), symbols_.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
}

// The map (wasmtime-environ 48, address_map.rs): u32 entries, u32 blocks; for each block u32 first text offset, u32 its
// body's place behind this index; bodies of up to 128 entries, each a ULEB (offset's increase << 1 | has no position)
// and the position, the block's first as ULEB, the others as SLEB differences. An entry holds until the next one's
// offset.
int64_t CodeMap::file_offset(uint32_t text_offset) const {
  constexpr int64_t kUnknown = -1;
  constexpr uint64_t kCounts = 8, kIndexEntry = 8;
  if (map_size_ < kCounts) return kUnknown;
  const uint32_t entries = read32(map_), blocks = read32(map_ + 4);
  if ((map_size_ - kCounts) / kIndexEntry < blocks) return kUnknown;
  uint32_t block = 0, above = blocks;  // the last block that does not begin behind the offset
  while (block < above) {
    const uint32_t middle = (block + above) / 2;
    if (read32(map_ + kCounts + middle * kIndexEntry) <= text_offset) {
      block = middle + 1;
    } else {
      above = middle;
    }
  }
  if (block == 0) return kUnknown;
  block--;
  const uint8_t* index = map_ + kCounts + block * kIndexEntry;
  const uint8_t* bodies = map_ + kCounts + uint64_t{blocks} * kIndexEntry;
  const uint8_t* end = map_ + map_size_;
  if (read32(index + 4) > end - bodies || entries < block * kBlockEntries) return kUnknown;
  Leb body(bodies + read32(index + 4), end);
  uint64_t offset = read32(index);
  std::optional<int64_t> position;
  int64_t found = kUnknown;
  const uint32_t count = std::min(kBlockEntries, entries - block * kBlockEntries);
  for (uint32_t i = 0; i < count; i++) {
    const auto token = body.unsigned_number();
    if (!token) return kUnknown;
    offset += *token >> 1;
    if ((*token & 1) == 0) {
      const auto next = position ? body.signed_number() : std::optional<int64_t>(body.unsigned_number());
      if (!next) return kUnknown;
      position = position.value_or(0) + *next;
    }
    if (offset > text_offset) break;
    found = (*token & 1) == 0 ? *position : kUnknown;
  }
  return found;
}

CodeMap::Place CodeMap::find(uint64_t address) const {
  if (address < text_ || address >= text_ + text_size_) return {"", -1};
  const uint64_t offset = address - text_;
  const auto after = std::upper_bound(symbols_.begin(), symbols_.end(), offset,
                                      [](uint64_t at, const Symbol& symbol) { return at < symbol.offset; });
  if (after == symbols_.begin()) return {"", -1};
  const Symbol& symbol = *std::prev(after);
  if (offset >= symbol.offset + symbol.size || symbol.name.empty()) return {"", -1};
  return {symbol.name, file_offset(static_cast<uint32_t>(offset))};
}

}  // namespace sluice
