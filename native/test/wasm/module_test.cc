#include <gtest/gtest.h>

#include "wasm/node.h"

namespace sluice {
namespace {

using nlohmann::json;
using testing::add_custom_section;
using testing::assemble;
using testing::Node;
using testing::StageText;

Node& node() {
  static Node node;
  return node;
}

struct Row {
  const char* what;
  StageText stage;
  const char* refusal;  ///< code and path
};

StageText with(std::string StageText::*part, std::string text) {
  StageText stage;
  stage.*part = std::move(text);
  return stage;
}
StageText with_extra(std::string text) {
  return with(&StageText::extra, std::move(text));
}
StageText with_manifest(json patch) {
  StageText stage;
  stage.manifest = std::move(patch);
  return stage;
}

json histogram(const char* name, const json& bounds) {
  return {{"name", name}, {"bounds", bounds}};
}

TEST(Module, AStageThatDoesNothingIsAccepted) {
  EXPECT_EQ(node().refusal(StageText().build()), "accepted");
}

TEST(Module, RefusalsSayWhatAndWhere) {
  const std::string abi2 = R"((func (export "sluice_abi_version") (result i32) (i32.const 2)))";
  const std::string data = "(data (i32.const ";
  const Row rows[] = {
      {"other ABI version exported", with(&StageText::abi, abi2), "module-wrong-abi module/exports/sluice_abi_version"},
      {"other ABI version in the manifest", with_manifest({{"abi", 2}}), "module-wrong-abi manifest/abi"},
      {"no ABI version", with(&StageText::abi, ""), "module-exports module/exports/sluice_abi_version"},
      {"ABI version of a wrong type",
       with(&StageText::abi, R"((func (export "sluice_abi_version") (result i64) (i64.const 1)))"),
       "module-exports module/exports/sluice_abi_version"},
      {"another import", with(&StageText::imports, R"((import "env" "seed" (func (result f64))))"),
       "module-imports module/imports"},
      {"abort of a wrong type", with(&StageText::imports, R"((import "env" "abort" (func (param i32))))"),
       "module-imports module/imports"},
      {"imported global", with(&StageText::imports, R"((import "env" "abort" (global i32)))"),
       "module-imports module/imports"},
      {"imported memory", with(&StageText::imports, R"((import "env" "memory" (memory 3328 3328)))"),
       "module-imports module/imports"},
      {"init of a wrong type", with_extra(R"((func (export "init") (param i32)))"),
       "module-exports module/exports/init"},
      {"configure of a wrong type", with_extra(R"((func (export "configure")))"),
       "module-exports module/exports/configure"},
      {"migrate of a wrong type", with_extra(R"((func (export "migrate") (param i32)))"),
       "module-exports module/exports/migrate"},
      {"a global called init", with_extra(R"((global (export "init") i32 (i32.const 0)))"),
       "module-exports module/exports/init"},
      {"small memory", with(&StageText::memory, R"((memory (export "memory") 1 3328))"), "module-memory module/memory"},
      {"huge memory", with(&StageText::memory, R"((memory (export "memory") 65536 65536))"),
       "module-memory module/memory"},
      {"memory without a maximum", with(&StageText::memory, R"((memory (export "memory") 3328))"),
       "module-memory module/memory"},
      {"memory not exported", with(&StageText::memory, "(memory 3328 3328)"), "module-exports module/exports/memory"},
      {"64-bit memory", with(&StageText::memory, R"((memory (export "memory") i64 3328 3328))"),
       "module-memory module/memory"},
      {"two memories", with_extra("(memory 1)"), "module-memory module/memory"},
      {"no memory", with(&StageText::memory, ""), "module-memory module/memory"},
      {"bulk memory: memory.fill", with_extra("(func (memory.fill (i32.const 16777216) (i32.const 0) (i32.const 9)))"),
       "module-bulk-memory module/code"},
      {"bulk memory: memory.copy", with_extra("(func (memory.copy (i32.const 0) (i32.const 16777216) (i32.const 9)))"),
       "module-bulk-memory module/code"},
      {"bulk memory: passive data", with_extra(R"((data "x"))"), "module-bulk-memory module/data"},
      {"data aimed at the window", with_extra(data + "16777216) \"x\")"), "module-data-segment module/data"},
      {"data over the private region's end", with_extra(data + "8388607) \"xy\")"), "module-data-segment module/data"},
      {"data at a negative offset", with_extra(data + "-1) \"x\")"), "module-data-segment module/data"},
      {"data at a global's value", with_extra("(global $g i32 (i32.const 16777216)) (data (global.get $g) \"x\")"),
       "module-data-segment module/data"},
      {"start function that never ends", with_extra("(func $s (loop (br 0))) (start $s)"),
       "module-start-failed module"},
      {"start function that traps", with_extra("(func $s unreachable) (start $s)"), "module-start-failed module"},
      {"start function that writes into the window",
       with_extra("(func $s (i32.store (i32.const 16777216) (i32.const 1))) (start $s)"), "module-start-failed module"},
      {"huge table", with_extra("(table 10000000 funcref)"), "module-start-failed module"},
      {"unknown hook", with_manifest({{"hooks", {"forward", "sideways"}}}), "manifest-invalid manifest/hooks/1"},
      {"hook twice", with_manifest({{"hooks", {"forward", "forward"}}}), "manifest-invalid manifest/hooks/1"},
      {"no hook", with_manifest({{"hooks", json::array()}}), "manifest-invalid manifest/hooks"},
      {"no name", with_manifest({{"name", nullptr}}), "manifest-invalid manifest/name"},
      {"name with control characters", with_manifest({{"name", "a\nb"}}), "manifest-invalid manifest/name"},
      {"too many header bytes", with_manifest({{"headerBytes", 321}}), "manifest-invalid manifest/headerBytes"},
      {"negative header bytes", with_manifest({{"headerBytes", -1}}), "manifest-invalid manifest/headerBytes"},
      {"header bytes as text", with_manifest({{"headerBytes", "64"}}), "manifest-invalid manifest/headerBytes"},
      {"writes as a number", with_manifest({{"writes", 1}}), "manifest-invalid manifest/writes"},
      {"flow state too large", with_manifest({{"flowState", {{"size", 65}, {"schema", 1}}}}),
       "manifest-invalid manifest/flowState/size"},
      {"flow state without a schema", with_manifest({{"flowState", {{"size", 8}}}}),
       "manifest-invalid manifest/flowState/schema"},
      {"flow schema 0", with_manifest({{"flowState", {{"size", 8}, {"schema", 0}}}}),
       "manifest-invalid manifest/flowState/schema"},
      {"flow state as a list", with_manifest({{"flowState", {8}}}), "manifest-invalid manifest/flowState"},
      {"migrates without flow state", with_manifest({{"migratesFrom", {1}}}), "manifest-invalid manifest/migratesFrom"},
      {"migrates from its own schema",
       with_manifest({{"flowState", {{"size", 8}, {"schema", 2}}}, {"migratesFrom", {2}}}),
       "manifest-invalid manifest/migratesFrom/0"},
      {"migrates but exports no migrate",
       with_manifest({{"flowState", {{"size", 8}, {"schema", 2}}}, {"migratesFrom", {1}}}),
       "manifest-invalid manifest/migratesFrom"},
      {"counter twice", with_manifest({{"counters", {"a", "a"}}}), "manifest-invalid manifest/counters/1"},
      {"counters not a list", with_manifest({{"counters", {{"a", 1}}}}), "manifest-invalid manifest/counters"},
      {"gauge twice", with_manifest({{"gauges", {"a", "a"}}}), "manifest-invalid manifest/gauges/1"},
      {"a gauge of a counter's name", with_manifest({{"counters", {"a"}}, {"gauges", {"b", "a"}}}),
       "manifest-invalid manifest/gauges/1"},
      {"a histogram of a gauge's name", with_manifest({{"gauges", {"a"}}, {"histograms", {histogram("a", {1})}}}),
       "manifest-invalid manifest/histograms/0/name"},
      {"two histograms of a name", with_manifest({{"histograms", {histogram("a", {1}), histogram("a", {2})}}}),
       "manifest-invalid manifest/histograms/1/name"},
      {"a histogram without bounds", with_manifest({{"histograms", {{{"name", "a"}}}}}),
       "manifest-invalid manifest/histograms/0/bounds"},
      {"a histogram with no bounds", with_manifest({{"histograms", {histogram("a", json::array())}}}),
       "manifest-invalid manifest/histograms/0/bounds"},
      {"a histogram without a name", with_manifest({{"histograms", {{{"bounds", {1}}}}}}),
       "manifest-invalid manifest/histograms/0"},
      {"a histogram that is a name", with_manifest({{"histograms", {"a"}}}), "manifest-invalid manifest/histograms/0"},
      {"bounds that fall", with_manifest({{"histograms", {histogram("a", {1, 3, 2})}}}),
       "manifest-invalid manifest/histograms/0/bounds/2"},
      {"equal bounds", with_manifest({{"histograms", {histogram("a", {1, 1})}}}),
       "manifest-invalid manifest/histograms/0/bounds/1"},
      {"a bound with a fraction", with_manifest({{"histograms", {histogram("a", {0.5})}}}),
       "manifest-invalid manifest/histograms/0/bounds/0"},
      {"a bound that JavaScript cannot hold", with_manifest({{"histograms", {histogram("a", {9007199254740992})}}}),
       "manifest-invalid manifest/histograms/0/bounds/0"},
      {"a negative bound", with_manifest({{"histograms", {histogram("a", {-1})}}}),
       "manifest-invalid manifest/histograms/0/bounds/0"},
      {"trace value twice", with_manifest({{"traceValues", {"a", "a"}}}), "manifest-invalid manifest/traceValues/1"},
      {"segment too large", with_manifest({{"segmentBytes", 67108865}}), "manifest-invalid manifest/segmentBytes"},
      {"segment without configure", with_manifest({{"segmentBytes", 4096}}), "manifest-invalid manifest/segmentBytes"},
      {"unknown failure strategy", with_manifest({{"failure", "Shrug"}}), "manifest-invalid manifest/failure"},
      {"schema that is no object", with_manifest({{"configSchema", "yes"}}), "manifest-invalid manifest/configSchema"},
  };
  for (const Row& row : rows) EXPECT_EQ(node().refusal(row.stage.build()), row.refusal) << row.what;
}

TEST(Module, TooManyCountersAreRefused) {
  json counters = json::array();
  for (int i = 0; i < 1025; i++) counters.push_back("c" + std::to_string(i));
  EXPECT_EQ(node().refusal(with_manifest({{"counters", counters}}).build()), "manifest-invalid manifest/counters");
  counters.erase(0);
  EXPECT_EQ(node().refusal(with_manifest({{"counters", counters}}).build()), "accepted");
  EXPECT_EQ(node().refusal(with_manifest({{"counters", counters}, {"gauges", {"g"}}}).build()),
            "manifest-invalid manifest");
  for (int i = 0; i < 3; i++) counters.erase(0);
  const json one = json::array({histogram("h", {10})});  // three cells
  EXPECT_EQ(node().refusal(with_manifest({{"counters", counters}, {"histograms", one}}).build()), "accepted");
  const json two = json::array({histogram("h", {10, 20})});
  EXPECT_EQ(node().refusal(with_manifest({{"counters", counters}, {"histograms", two}}).build()),
            "manifest-invalid manifest");
}

TEST(Module, ManifestSectionMustBeThereOnceAndBeJson) {
  const std::string body =
      StageText().imports + StageText().memory + StageText().abi + R"((func (export "process") (param i32 i32)))";
  std::vector<uint8_t> none = assemble("(module " + body + ")");
  EXPECT_EQ(node().refusal(none), "module-no-manifest manifest");
  std::vector<uint8_t> twice = StageText().build();
  add_custom_section(twice, abi::MANIFEST_SECTION, "{}");
  EXPECT_EQ(node().refusal(twice), "manifest-invalid manifest");
  for (const std::string& text : {std::string(""), std::string("{"), std::string("[]"), std::string("null"),
                                  std::string("\xff\xfe"), std::string(200000, '[')}) {
    std::vector<uint8_t> broken = none;
    add_custom_section(broken, abi::MANIFEST_SECTION, text);
    EXPECT_EQ(node().refusal(broken), "manifest-invalid manifest") << text.substr(0, 20);
  }
}

TEST(Module, BytesThatAreNoModuleAreRefused) {
  EXPECT_EQ(node().refusal({}), "module-invalid module");
  EXPECT_EQ(node().refusal({'#', '!', '/', 'b', 'i', 'n'}), "module-invalid module");
  EXPECT_EQ(node().refusal(std::vector<uint8_t>((16 << 20) + 1)), "module-too-large module");
}

TEST(Module, EveryTruncationIsRefused) {
  const std::vector<uint8_t> whole = StageText().build();
  for (size_t size = 0; size < whole.size(); size++) {
    EXPECT_NE(node().refusal({whole.begin(), whole.begin() + static_cast<long>(size)}), "accepted") << size;
  }
}

TEST(Module, NoFlippedByteIsFatal) {
  const std::vector<uint8_t> whole =
      StageText{testing::for_each_slot(testing::store8(0, testing::i32(1))), R"((data (i32.const 8) "abc"))"}.build();
  for (size_t i = 0; i < whole.size(); i++) {
    for (const uint8_t flip : {0x01, 0x40, 0x80, 0xff}) {
      std::vector<uint8_t> damaged = whole;
      damaged[i] ^= flip;
      node().refusal(damaged);  // accepted or refused, but it returns
    }
  }
}

TEST(Module, DigestMustMatch) {
  const std::vector<uint8_t> module = StageText().build();
  const auto added = node().host->add_module(std::string(64, '0'), module.data(), module.size());
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, "module-digest");
}

TEST(Module, ManifestIsReadWhole) {
  StageText stage;
  stage.extra = R"((func (export "migrate") (param i32 i32)) (func (export "configure") (result i32) (i32.const 0)))";
  stage.manifest = {{"name", "nat"},
                    {"version", "2.1.0"},
                    {"hooks", {"prerouting"}},
                    {"headerBytes", 128},
                    {"writes", true},
                    {"migratesFrom", {1, 2}},
                    {"counters", {"hits"}},
                    {"dropReasons", {"no-luck"}},
                    {"segmentBytes", 4096},
                    {"failure", "Reload"},
                    {"flowState", {{"size", 24}, {"schema", 3}}},
                    {"configSchema", {{"type", "object"}}}};
  const std::vector<uint8_t> module = stage.build();
  const auto added = node().host->add_module(testing::digest_of(module), module.data(), module.size());
  ASSERT_TRUE(added.ok()) << added.error().message;
  const Manifest& manifest = added.value();
  EXPECT_EQ(manifest.name, "nat");
  EXPECT_EQ(manifest.version, "2.1.0");
  EXPECT_EQ(manifest.hooks, std::vector<abi::Hook>{abi::Hook::PREROUTING});
  EXPECT_EQ(manifest.header_bytes, 128);
  EXPECT_TRUE(manifest.writes);
  EXPECT_EQ(manifest.flow_size, 24);
  EXPECT_EQ(manifest.flow_schema, 3);
  EXPECT_EQ(manifest.migrates_from, (std::vector<uint8_t>{1, 2}));
  EXPECT_EQ(manifest.counters, std::vector<std::string>{"hits"});
  EXPECT_EQ(manifest.drop_reasons, std::vector<std::string>{"no-luck"});
  EXPECT_EQ(manifest.segment_bytes, 4096u);
  EXPECT_EQ(manifest.failure, "Reload");
  EXPECT_EQ(manifest.config_schema, R"({"type":"object"})");
}

}  // namespace
}  // namespace sluice
