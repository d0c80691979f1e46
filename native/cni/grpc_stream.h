#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>

#include "grpc_call.h"

namespace sluice::cni {

/// An HTTP/2 connection's one stream, a unary gRPC call: of bytes from and to the socket, an answer. Owns no socket.
class GrpcStream {
 public:
  explicit GrpcStream(const GrpcCall& call);
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;

  const std::optional<GrpcAnswer>& answer() const { return answer_; }
  /// Adds what is to be sent now.
  void output(std::string& bytes);
  void input(const uint8_t* bytes, size_t count);
  /// The connection has ended so, and with it the call.
  void cut_off(const std::string& how) { end(grpc_code::kUnavailable, with_cause(how)); }
  /// The call ends so, unless it has ended already.
  void end(unsigned status, const std::string& message);

 private:
  struct Callbacks;

  void submit(const GrpcCall& call);
  size_t take_request(uint8_t* target, size_t room);
  void header(std::string name, std::string value);
  void data(const uint8_t* bytes, size_t count);
  void frame(const nghttp2_frame& frame);
  void closed(uint32_t error);
  void ended_by_peer();
  void judge_message();
  std::string with_cause(const std::string& what) const;

  size_t longest_answer_;
  std::string request_;
  size_t requested_ = 0;  ///< bytes of request_ that are on their way
  GrpcHeaders initial_, trailers_;
  GrpcHeaders* block_ = &initial_;  ///< the header block that is being read
  std::string body_;
  std::string cause_;  ///< what the library, or the peer's GOAWAY, last said was wrong
  std::optional<GrpcAnswer> answer_;
  std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)> session_;
};

}  // namespace sluice::cni
