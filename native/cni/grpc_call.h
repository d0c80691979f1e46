#pragma once

#include <chrono>
#include <map>
#include <string>

namespace sluice::cni {

/// gRPC's status codes that the client itself tells; a server may tell any.
namespace grpc_code {
constexpr unsigned kOk = 0;
constexpr unsigned kUnknown = 2;
constexpr unsigned kDeadlineExceeded = 4;
constexpr unsigned kResourceExhausted = 8;
constexpr unsigned kInternal = 13;
constexpr unsigned kUnavailable = 14;
}  // namespace grpc_code

using GrpcHeaders = std::map<std::string, std::string>;

struct GrpcCall {
  /// Path of the server's unix socket.
  std::string socket;
  /// "/package.Service/Method".
  std::string method;
  /// A serialised message.
  std::string request;
  std::chrono::steady_clock::time_point deadline;
  /// An answer is not to have more bytes.
  size_t longest_answer;
};

struct GrpcAnswer {
  unsigned status = grpc_code::kOk;
  /// Why it is not OK; never empty then.
  std::string message;
  /// A serialised message, where the status is OK.
  std::string response;
  GrpcHeaders trailers;
};

/// A unary call, on a connection of its own (HTTP/2 with prior knowledge), in the caller's thread. Whatever the server
/// does, it ends at the deadline, and what went wrong is the answer's status.
GrpcAnswer grpc_call(const GrpcCall& call);

}  // namespace sluice::cni
