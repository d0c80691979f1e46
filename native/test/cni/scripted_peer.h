#pragma once

#include <string>
#include <thread>

#include "core/descriptor.h"

namespace sluice::cni {

/// A unix socket that listens, in a folder of its own, which goes with it.
class Listener {
 public:
  /// @param backlog connections that wait to be taken, but for one more
  explicit Listener(int backlog);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const std::string& path() const { return path_; }
  int number() const { return socket_.number(); }

 private:
  std::string folder_, path_;
  Descriptor socket_;
};

/// Takes one connection, sends what it is told to, in pieces, whatever it receives, and then closes it, or stays until
/// the client goes.
class Peer {
 public:
  enum Then { Close, Hang };

  Peer(std::string sent, Then then, size_t piece = 65536);
  ~Peer();

  const std::string& path() const { return listener_.path(); }
  /// All that the client sent. Waits until the connection has ended.
  const std::string& received() const;

 private:
  void serve(const std::string& sent, Then then, size_t piece);

  Listener listener_{8};
  std::string received_;
  mutable std::thread thread_;
};

/// Nobody takes the connections of its backlog, which is full.
class FullListener {
 public:
  FullListener();

  const std::string& path() const { return listener_.path(); }

 private:
  Listener listener_{0};
  Descriptor waiting_;
};

}  // namespace sluice::cni
