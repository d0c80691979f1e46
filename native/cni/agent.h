#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "sluice/v1/cni.grpc.pb.h"

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
  template <typename Request, typename Response>
  Response call(grpc::Status (v1::Cni::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request);

  std::string socket_;
  std::chrono::system_clock::time_point deadline_;
  std::unique_ptr<v1::Cni::Stub> stub_;
};

}  // namespace sluice::cni
