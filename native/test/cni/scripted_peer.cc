#include "scripted_peer.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace sluice::cni {

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string own_folder() {
  std::string folder = testing::TempDir() + "sluice-grpc-XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

}  // namespace

Listener::Listener(int backlog)
    : folder_(own_folder()), path_(folder_ + "/s"), socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = address_of(path_);
  EXPECT_EQ(bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(socket_.number(), backlog), 0);
}

Listener::~Listener() {
  unlink(path_.c_str());
  rmdir(folder_.c_str());
}

Peer::Peer(std::string sent, Then then, size_t piece)
    : thread_([this, sent = std::move(sent), then, piece] { serve(sent, then, piece); }) {}

Peer::~Peer() {
  if (thread_.joinable()) thread_.join();
}

const std::string& Peer::received() const {
  if (thread_.joinable()) thread_.join();
  return received_;
}

void Peer::serve(const std::string& sent, Then then, size_t piece) {
  const Descriptor connection(accept(listener_.number(), nullptr, nullptr));
  const int client = connection.number();
  char bytes[65536];
  const auto receive = [&] {
    const ssize_t count = recv(client, bytes, sizeof bytes, 0);
    if (count > 0) received_.append(bytes, static_cast<size_t>(count));
    return count > 0;
  };
  receive();  // what the client sends first: closing before it is read would reset the connection
  for (size_t at = 0; at < sent.size(); at += piece) {
    const size_t count = std::min(piece, sent.size() - at);
    if (send(client, sent.data() + at, count, MSG_NOSIGNAL) < 0) break;
  }
  if (then == Close) shutdown(client, SHUT_WR);
  while (receive()) continue;
}

FullListener::FullListener() : waiting_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = address_of(listener_.path());
  EXPECT_EQ(connect(waiting_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

}  // namespace sluice::cni
