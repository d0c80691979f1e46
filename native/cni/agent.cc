#include "agent.h"

#include "failure.h"
#include "grpc_call.h"
#include "grpc_wire.h"

namespace sluice::cni {

namespace {

constexpr const char* kErrorKey = "sluice-cni-error-bin";
constexpr const char* kService = "/sluice.cni.v1.Cni/";
/// Of an answer, which holds one pod's interfaces.
constexpr size_t kAnswerBytes = 1 << 20;

Failure no_answer(const std::string& socket, const GrpcAnswer& answer) {
  const bool late = answer.status == grpc_code::kDeadlineExceeded;
  return {code::kTryAgainLater,
          late ? "the node's agent did not answer in time" : "the node's agent cannot be asked: is it running?",
          "socket " + socket + ": " + answer.message};
}

Failure failure_of(const std::string& socket, const GrpcAnswer& answer) {
  const auto trailer = answer.trailers.find(kErrorKey);
  if (trailer == answer.trailers.end()) return no_answer(socket, answer);
  const auto bytes = binary_value(trailer->second);
  v1::CniError error;
  if (!bytes || !error.ParseFromString(*bytes) || error.code() == 0) return no_answer(socket, answer);
  return {error.code(), error.message(), error.details()};
}

}  // namespace

Agent::Agent(std::string socket, std::chrono::seconds timeout)
    : socket_(std::move(socket)), deadline_(std::chrono::steady_clock::now() + timeout) {}

template <typename Response>
Response Agent::call(const char* method, const google::protobuf::MessageLite& request) {
  GrpcAnswer answer =
      grpc_call({socket_, std::string(kService) + method, request.SerializeAsString(), deadline_, kAnswerBytes});
  if (answer.status != grpc_code::kOk) throw failure_of(socket_, answer);
  Response response;
  if (response.ParseFromString(answer.response)) return response;
  answer.message = "its answer is no " + response.GetTypeName();
  throw no_answer(socket_, answer);
}

v1::AddResponse Agent::add(const v1::AddRequest& request) {
  return call<v1::AddResponse>("Add", request);
}

void Agent::del(const v1::DelRequest& request) {
  call<v1::DelResponse>("Del", request);
}

void Agent::check(const v1::CheckRequest& request) {
  call<v1::CheckResponse>("Check", request);
}

void Agent::status() {
  call<v1::StatusResponse>("Status", v1::StatusRequest());
}

void Agent::gc(const v1::GcRequest& request) {
  call<v1::GcResponse>("Gc", request);
}

}  // namespace sluice::cni
