#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "wasm/node.h"
#include "wasm/sha256.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using testing::Node;
using testing::StageText;

class Cache : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice-cache-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root = name;
    folder = root + "/modules";
  }
  void TearDown() override { fs::remove_all(root); }

  /// A new host adds a module, as after a restart; its messages.
  std::vector<std::string> add() {
    Node node(folder);
    node.run({Node::plugin("test", node.add(StageText()))});
    EXPECT_NE(node.outcome(node.udp()), "lost");
    return node.host->take_messages();
  }
  std::string only_file() {
    std::string found;
    int files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) found = entry.path(), files++;
    EXPECT_EQ(files, 1);
    return found;
  }

  std::string root, folder;
};

TEST_F(Cache, ASecondStartTakesTheCompiledModule) {
  EXPECT_TRUE(add().empty());
  const std::string file = only_file();
  struct stat info;
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  const auto written = fs::last_write_time(file);
  EXPECT_TRUE(add().empty());
  EXPECT_EQ(fs::last_write_time(only_file()), written);
}

TEST_F(Cache, ADamagedFileIsReportedAndReplaced) {
  add();
  const std::string file = only_file();
  for (const auto offset : {0L, 100L, static_cast<long>(fs::file_size(file)) - 1}) {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(offset);
    damage.put('\x7f');
    damage.close();
    EXPECT_EQ(add().size(), 1u) << offset;
    EXPECT_TRUE(add().empty()) << offset;
  }
  fs::resize_file(file, 10);
  EXPECT_EQ(add().size(), 1u);
  fs::resize_file(file, 0);
  EXPECT_EQ(add().size(), 1u);
  EXPECT_TRUE(add().empty());
}

TEST_F(Cache, CodeOfAnotherEngineIsCompiledAnew) {
  add();
  const std::string file = only_file();
  const std::string code = "no code at all";
  std::ofstream(file, std::ios::binary) << sha256_hex(code.data(), code.size()) << code;
  EXPECT_EQ(add().size(), 1u);
  EXPECT_TRUE(add().empty());
}

TEST_F(Cache, AFileThatOthersMayWriteIsNotRun) {
  add();
  chmod(only_file().c_str(), 0666);
  EXPECT_GE(add().size(), 1u);
}

TEST_F(Cache, AFolderThatCannotBeMadeIsReported) {
  std::ofstream(folder) << "a file in its place";
  EXPECT_EQ(add().size(), 2u) << "neither read nor written";
}

TEST(Sha256, Fips180Examples) {
  EXPECT_EQ(sha256_hex("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  EXPECT_EQ(sha256_hex(two_blocks.data(), two_blocks.size()),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1000000, 'a');
  EXPECT_EQ(sha256_hex(million.data(), million.size()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace sluice
