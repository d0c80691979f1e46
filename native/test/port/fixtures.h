#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "control/desired_state.h"
#include "port/port.h"

namespace sluice::testing {

struct Outcome {
  int status = 0;
  std::string output;  ///< standard output and error together
};

/// Runs a shell command, at most `seconds` long.
Outcome run(const std::string& command, int seconds = 20);

/// A network namespace with its loopback up; gone with the object.
class Namespace {
 public:
  explicit Namespace(const std::string& name);
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  Outcome run(const std::string& command, int seconds = 20) const;
  const std::string& name() const { return name_; }
  std::string path() const { return "/run/netns/" + name_; }

 private:
  std::string name_;
};

/// Joins the calling thread to a namespace for as long as the object lives.
class Inside {
 public:
  explicit Inside(const Namespace& space);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int before_;
};

/// A program in the background; killed with the object.
class Background {
 public:
  explicit Background(const std::string& command);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

 private:
  pid_t pid_;
};

BufferPools pools();

IpPrefix prefix(const std::string& text);
rte_ether_addr mac(const std::string& text);

std::unique_ptr<Port> open(const PortConfig& config, PortId id = 1);

/// The least of a packet loop: takes each frame from one port to the other, in both directions, on a thread of its own.
/// Link headers are rewritten to the receiver's MAC, and what offloads need is parsed, as the real loop does.
class Wire {
 public:
  Wire(Port& left, Port& right);
  ~Wire();

 private:
  void carry(Port& from, Port& to);

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace sluice::testing
