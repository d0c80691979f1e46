#include "agent.h"

#include <grpcpp/grpcpp.h>

#include "failure.h"

namespace sluice::cni {

namespace {

constexpr const char* kErrorKey = "sluice-cni-error-bin";
/// Of an answer, which holds one pod's interfaces.
constexpr int kAnswerBytes = 1 << 20;

Failure no_answer(const std::string& socket, const grpc::Status& status) {
  const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return {code::kTryAgainLater,
          late ? "the node's agent did not answer in time" : "the node's agent cannot be asked: is it running?",
          "socket " + socket + ": " + status.error_message()};
}

Failure failure_of(const std::string& socket, const grpc::Status& status, const grpc::ClientContext& context) {
  const auto& trailer = context.GetServerTrailingMetadata();
  const auto found = trailer.find(kErrorKey);
  v1::CniError error;
  if (found == trailer.end() || !error.ParseFromArray(found->second.data(), static_cast<int>(found->second.size())) ||
      error.code() == 0) {
    return no_answer(socket, status);
  }
  return {error.code(), error.message(), error.details()};
}

std::shared_ptr<grpc::Channel> channel_to(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kAnswerBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Agent::Agent(std::string socket, std::chrono::seconds timeout)
    : socket_(std::move(socket)),
      deadline_(std::chrono::system_clock::now() + timeout),
      stub_(v1::Cni::NewStub(channel_to(socket_))) {}

template <typename Request, typename Response>
Response Agent::call(grpc::Status (v1::Cni::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(deadline_);
  Response response;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
  if (!status.ok()) throw failure_of(socket_, status, context);
  return response;
}

v1::AddResponse Agent::add(const v1::AddRequest& request) {
  return call(&v1::Cni::Stub::Add, request);
}

void Agent::del(const v1::DelRequest& request) {
  call(&v1::Cni::Stub::Del, request);
}

void Agent::check(const v1::CheckRequest& request) {
  call(&v1::Cni::Stub::Check, request);
}

void Agent::status() {
  call(&v1::Cni::Stub::Status, v1::StatusRequest());
}

void Agent::gc(const v1::GcRequest& request) {
  call(&v1::Cni::Stub::Gc, request);
}

}  // namespace sluice::cni
