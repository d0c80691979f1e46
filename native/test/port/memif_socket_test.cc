#include "port/memif_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

class MemifSocket : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A listener on path_; closing it leaves the socket's file, as a killed program does.
  int listener() const {
    const int listening = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    EXPECT_EQ(bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    return listening;
  }

  bool exists() const { return std::filesystem::exists(path_); }

  const std::string folder_ = "/tmp/sluice-memif-socket-" + std::to_string(getpid());
  const std::string path_ = folder_ + "/pod/net1.sock";
};

TEST_F(MemifSocket, FolderIsMade) {
  EXPECT_TRUE(clear_memif_socket(path_).ok());
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/pod"));
  EXPECT_TRUE(clear_memif_socket(path_).ok());
}

TEST_F(MemifSocket, WhatAKilledProgramLeftGoes) {
  ASSERT_TRUE(clear_memif_socket(path_).ok());
  close(listener());
  ASSERT_TRUE(exists());
  EXPECT_TRUE(clear_memif_socket(path_).ok());
  EXPECT_FALSE(exists());
}

TEST_F(MemifSocket, AListenersStays) {
  ASSERT_TRUE(clear_memif_socket(path_).ok());
  const int listening = listener();
  EXPECT_TRUE(clear_memif_socket(path_).ok());
  EXPECT_TRUE(exists());
  close(listening);
}

TEST_F(MemifSocket, OtherFilesStayAndAreRefused) {
  ASSERT_TRUE(clear_memif_socket(path_).ok());
  std::ofstream(path_) << "data";
  const Status refused = clear_memif_socket(path_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "port-open-failed");
  EXPECT_EQ(refused.error().path, "/socket");
  EXPECT_TRUE(exists());
}

TEST_F(MemifSocket, LongPathsAreRefused) {
  EXPECT_FALSE(clear_memif_socket("/tmp/" + std::string(110, 'x')).ok());
}

}  // namespace
}  // namespace sluice
