#pragma once

#include <chrono>
#include <string>

#include "sluice/v1/cni.pb.h"

namespace sluice::cni {

/// The node's agent. Its calls throw the Failure that the agent answers with, or "try again later" when none answers.
class Agent {
 public:
  /// All calls together take at most `timeout`.
  Agent(std::string socket, std::chrono::seconds timeout);

  v1::AddResponse add(const v1::AddRequest& request);
  void del(const v1::DelRequest& request);
  void check(const v1::CheckRequest& request);
  void status();
  void gc(const v1::GcRequest& request);

 private:
  template <typename Response>
  Response call(const char* method, const google::protobuf::MessageLite& request);

  std::string socket_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace sluice::cni
