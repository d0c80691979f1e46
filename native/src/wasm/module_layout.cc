#include "wasm/module_layout.h"

#include <cstring>
#include <optional>

#include "generated/abi.h"
#include "wasm/byte_reader.h"

namespace sluice {

namespace {

// Core specification, section 5.5.2.
enum SectionId : uint8_t {
  kCustom,
  kType,
  kImport,
  kFunction,
  kTable,
  kMemory,
  kGlobal,
  kExport,
  kStart,
  kElement,
  kCode,
  kData,
  kDataCount
};
enum ExternKind : uint8_t { kFunc, kTableKind, kMemoryKind, kGlobalKind };
constexpr const char* kKindNames[] = {"function", "table", "memory", "global"};
constexpr uint8_t kI32 = 0x7f;

struct FunctionType {
  std::string params, results;  // value type bytes
  bool known = true;            // false: not a plain function type; fits no import or export of ours
};

std::string shown(const FunctionType& type) {
  const auto list = [](const std::string& types) {
    std::string text;
    for (const char type : types) {
      if (!text.empty()) text += ", ";
      const auto byte = static_cast<uint8_t>(type);
      text += byte == 0x7f ? "i32" : byte == 0x7e ? "i64" : byte == 0x7d ? "f32" : byte == 0x7c ? "f64" : "other";
    }
    return "(" + text + ")";
  };
  return list(type.params) + " -> " + list(type.results);
}

struct ExpectedFunction {
  const char* name;
  size_t params, results;  // all i32
  bool required;
};
constexpr ExpectedFunction kProcess{"process", 2, 0, true};
constexpr ExpectedFunction kExpected[] = {kProcess,
                                          {abi::ABI_EXPORT, 0, 1, true},
                                          {"init", 0, 0, false},
                                          {"configure", 0, 1, false},
                                          {"migrate", 2, 0, false}};

FunctionType i32_type(size_t params, size_t results) {
  return {std::string(params, static_cast<char>(kI32)), std::string(results, static_cast<char>(kI32))};
}

/// Text from the module in a message: bounded, and nothing that disturbs a terminal or JSON.
std::string quoted(std::string_view name) {
  std::string text = "'";
  for (const char c : name.substr(0, 60)) text += c >= 0x20 && c < 0x7f && c != '\'' ? c : '?';
  return text + (name.size() > 60 ? "...'" : "'");
}

class Inspector {
 public:
  Result<ModuleLayout> run(const uint8_t* bytes, size_t size) {
    if (size > kMaxModuleBytes) {
      return Error{"module-too-large", "module",
                   std::to_string(size) + " bytes; a module has at most " + std::to_string(kMaxModuleBytes)};
    }
    static constexpr uint8_t kMagic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    if (size < sizeof(kMagic) || std::memcmp(bytes, kMagic, sizeof(kMagic)) != 0) {
      return Error{"module-invalid", "module",
                   "is not a WebAssembly module: it does not start with '\\0asm' and version 1"};
    }
    ByteReader reader(bytes + sizeof(kMagic), bytes + size);
    while (!reader.done() && !error_) {
      const uint8_t id = reader.byte();
      ByteReader section = reader.part(reader.u32());
      if (!reader.ok()) fail("module-invalid", "a section is cut short");
      if (!error_) read_section(id, section);
      if (!error_ && !section.ok()) fail("module-invalid", "section " + std::to_string(id) + " is malformed");
    }
    if (!error_) check_whole();
    if (error_) return *error_;
    return layout_;
  }

 private:
  void fail(const char* code, const std::string& message, const char* where = "module") {
    if (!error_) error_ = Error{code, where, message};
  }

  void read_section(uint8_t id, ByteReader& section) {
    switch (id) {
      case kCustom:
        return read_custom(section);
      case kType:
        return read_types(section);
      case kImport:
        return read_imports(section);
      case kFunction:
        return read_functions(section);
      case kMemory:
        return read_memories(section);
      case kExport:
        return read_exports(section);
      case kData:
        return read_data(section);
      case kDataCount:
        return fail("module-bulk-memory",
                    "has a data count section, which only bulk memory needs; compile with bulk memory disabled",
                    "module/data");
      default:
        return;  // tables, globals, start, elements and code are Wasmtime's to validate
    }
  }

  void read_custom(ByteReader& section) {
    if (section.name() != abi::MANIFEST_SECTION) return;
    if (layout_.manifest.data() != nullptr)
      return fail("manifest-invalid", "there are two manifest sections", "manifest");
    layout_.manifest = section.rest();
    constexpr size_t kMaxManifest = 1 << 20;
    if (layout_.manifest.size() > kMaxManifest) fail("manifest-invalid", "is longer than 1 MiB", "manifest");
  }

  void read_types(ByteReader& section) {
    const uint32_t count = section.u32();
    for (uint32_t i = 0; i < count && section.ok(); i++) {
      const uint8_t form = section.byte();
      if (form != 0x60) {
        return fail("module-invalid", "type " + std::to_string(i) + " is no function type; stages use no others");
      }
      FunctionType type;
      const auto read = [&](std::string& types) {
        const std::string_view list = section.name();
        types.assign(list);
        // Reference types have more bytes than one; only plain ones may cross the edge of the module, see fits().
        for (const char value : list) type.known = type.known && static_cast<uint8_t>(value) >= 0x7b;
      };
      read(type.params);
      read(type.results);
      types_.push_back(std::move(type));
    }
  }

  void read_imports(ByteReader& section) {
    const uint32_t count = section.u32();
    for (uint32_t i = 0; i < count && section.ok(); i++) {
      const std::string_view module = section.name();
      const std::string_view name = section.name();
      const uint8_t kind = section.byte();
      if (!section.ok()) return;
      const std::string what = quoted(module) + "." + quoted(name);
      const HostFunction* function = find_host_function(module, name);
      if (function == nullptr || kind != kFunc) {
        return fail("module-imports",
                    "imports " + what + " (" + (kind < 4 ? kKindNames[kind] : "unknown kind") +
                        "); a stage may import only the functions " + host_function_names(),
                    "module/imports");
      }
      const uint32_t type = section.u32();
      const FunctionType expected{function->type.params, function->type.results};
      if (!fits(type, expected)) {
        return fail("module-imports",
                    "imports " + what + " as " + shown_type(type) + "; its type is " + shown(expected),
                    "module/imports");
      }
      layout_.imports.push_back(function);
      functions_.push_back(type);
    }
  }

  void read_functions(ByteReader& section) {
    const uint32_t count = section.u32();
    for (uint32_t i = 0; i < count && section.ok(); i++) functions_.push_back(section.u32());
  }

  void read_memories(ByteReader& section) {
    const uint32_t count = section.u32();
    if (count != 1)
      return fail("module-memory", "defines " + std::to_string(count) + " memories, not one", "module/memory");
    const uint8_t flags = section.byte();
    const uint32_t minimum = section.u32();
    const uint32_t maximum = (flags & 1) != 0 ? section.u32() : 0;
    if (!section.ok()) return;
    if (flags > 1) {
      return fail("module-memory", "the memory is shared, 64-bit or of another page size; it must be a plain one",
                  "module/memory");
    }
    if (minimum != abi::kMemoryPages || flags != 1 || maximum != abi::kMemoryPages) {
      const std::string pages = std::to_string(abi::kMemoryPages);
      return fail("module-memory",
                  "the memory has " + std::to_string(minimum) + " pages initially and " +
                      (flags == 1 ? "at most " + std::to_string(maximum) : "no maximum") + "; both must be " + pages +
                      " (asc --initialMemory " + pages + " --maximumMemory " + pages + ")",
                  "module/memory");
    }
    has_memory_ = true;
  }

  void read_exports(ByteReader& section) {
    const uint32_t count = section.u32();
    for (uint32_t i = 0; i < count && section.ok(); i++) {
      const std::string_view name = section.name();
      const uint8_t kind = section.byte();
      const uint32_t index = section.u32();
      if (!section.ok()) return;
      if (name == "memory") {
        if (kind != kMemoryKind)
          return fail("module-exports", "exports 'memory', which is no memory", "module/exports/memory");
        exports_memory_ = true;
        continue;
      }
      for (size_t e = 0; e < std::size(kExpected); e++) {
        if (name == kExpected[e].name) check_export(kExpected[e], kind, index, exported_[e]);
      }
    }
  }

  void check_export(const ExpectedFunction& expected, uint8_t kind, uint32_t index, bool& exported) {
    exported = true;
    const FunctionType type = i32_type(expected.params, expected.results);
    // Function indices were all read: the function section comes before the exports.
    if (kind == kFunc && index < functions_.size() && fits(functions_[index], type)) return;
    const std::string found =
        kind != kFunc || index >= functions_.size() ? "no function" : shown_type(functions_[index]);
    error_ = Error{"module-exports", std::string("module/exports/") + expected.name,
                   std::string("exports '") + expected.name + "' as " + found + "; its type is " + shown(type)};
  }

  void read_data(ByteReader& section) {
    const uint32_t count = section.u32();
    for (uint32_t i = 0; i < count && section.ok() && !error_; i++) {
      const uint32_t flags = section.u32();
      if (flags == 1) {
        return fail("module-bulk-memory",
                    "data segment " + std::to_string(i) + " is passive, which only bulk memory needs", "module/data");
      }
      if (flags > 2 || (flags == 2 && section.u32() != 0)) return fail("module-invalid", "a data segment is malformed");
      const uint8_t opcode = section.byte();
      const auto offset = static_cast<uint32_t>(section.s32());
      constexpr uint8_t kI32Const = 0x41, kEnd = 0x0b;
      const bool constant = opcode == kI32Const && section.byte() == kEnd;
      const std::string_view data = section.name();
      if (!section.ok() && constant) return;
      check_segment(i, constant, offset, data.size());
    }
  }

  void check_segment(uint32_t number, bool constant, uint32_t offset, size_t size) {
    const std::string what = "data segment " + std::to_string(number);
    if (!constant) return fail("module-data-segment", what + "'s offset is no plain i32.const", "module/data");
    if (offset < abi::kPrivateBase || offset > abi::kPrivateSize || size > abi::kPrivateSize - offset) {
      fail("module-data-segment",
           what + " (" + std::to_string(size) + " bytes at " + std::to_string(offset) +
               ") is not within the private region, the first " + std::to_string(abi::kPrivateSize) +
               " bytes: the rest of the memory is the host's",
           "module/data");
    }
  }

  void check_whole() {
    if (!has_memory_) return fail("module-memory", "defines no memory", "module/memory");
    if (!exports_memory_)
      return fail("module-exports", "does not export its memory as 'memory'", "module/exports/memory");
    for (size_t e = 0; e < std::size(kExpected); e++) {
      if (kExpected[e].required && !exported_[e]) {
        const ExpectedFunction& missing = kExpected[e];
        error_ = Error{"module-exports", std::string("module/exports/") + missing.name,
                       std::string("does not export '") + missing.name + "', a function " +
                           shown(i32_type(missing.params, missing.results))};
        return;
      }
    }
    if (layout_.manifest.data() == nullptr) {
      return fail("module-no-manifest",
                  std::string("has no custom section '") + abi::MANIFEST_SECTION + "'; build it with @sluice/sdk",
                  "manifest");
    }
    layout_.has_init = exported_[2];
    layout_.has_configure = exported_[3];
    layout_.has_migrate = exported_[4];
  }

  bool fits(uint32_t type, const FunctionType& expected) const {
    return type < types_.size() && types_[type].known && types_[type].params == expected.params &&
           types_[type].results == expected.results;
  }
  std::string shown_type(uint32_t type) const { return type < types_.size() ? shown(types_[type]) : "an unknown type"; }

  ModuleLayout layout_;
  std::optional<Error> error_;
  std::vector<FunctionType> types_;
  std::vector<uint32_t> functions_;  // type of each, imported ones first
  bool has_memory_ = false, exports_memory_ = false;
  bool exported_[std::size(kExpected)] = {};
};

}  // namespace

Result<ModuleLayout> inspect_module(const uint8_t* bytes, size_t size) {
  return Inspector().run(bytes, size);
}

}  // namespace sluice
