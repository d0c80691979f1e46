#include "grpc_stream.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "grpc_wire.h"

namespace sluice::cni {

namespace {

/// The first, and only, one of a client. A peer may have pushed others before it knew that it must not.
constexpr int32_t kStream = 1;

/// Of the call, not of a promise of a push.
bool is_header(const nghttp2_frame& frame) {
  return frame.hd.type == NGHTTP2_HEADERS && frame.hd.stream_id == kStream;
}

using CallbackSet = std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>;

/// Both live on with who calls: the library copies them.
nghttp2_nv pair(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string text_of(const uint8_t* bytes, size_t count) {
  return {reinterpret_cast<const char*>(bytes), count};
}

std::string value_of(const GrpcHeaders& headers, const char* name) {
  const auto found = headers.find(name);
  return found != headers.end() ? found->second : std::string();
}

bool starts_with(const std::string& text, std::string_view start) {
  return text.compare(0, start.size(), start) == 0;
}

}  // namespace

/// What the library calls, with the stream as its user data.
struct GrpcStream::Callbacks {
  static GrpcStream& of(void* user) { return *static_cast<GrpcStream*>(user); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (is_header(*frame)) of(user).block_ = &of(user).trailers_;
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    if (is_header(*frame)) of(user).header(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t count, void* user) {
    if (stream == kStream) of(user).data(bytes, count);
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    of(user).frame(*frame);
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    if (stream == kStream) of(user).closed(error);
    return 0;
  }

  static int on_error(nghttp2_session*, int, const char* text, size_t size, void* user) {
    of(user).cause_.assign(text, size);
    return 0;
  }

  static ssize_t on_request(nghttp2_session*, int32_t, uint8_t* target, size_t room, uint32_t* flags,
                            nghttp2_data_source*, void* user) {
    GrpcStream& stream = of(user);
    const size_t taken = stream.take_request(target, room);
    if (stream.requested_ == stream.request_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(taken);
  }
};

GrpcStream::GrpcStream(const GrpcCall& call)
    : longest_answer_(call.longest_answer),
      request_(grpc_framed(call.request)),
      session_(nullptr, nghttp2_session_del) {
  nghttp2_session_callbacks* made = nullptr;
  if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
  const CallbackSet callbacks(made, nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, Callbacks::on_close);
  nghttp2_session_callbacks_set_error_callback2(made, Callbacks::on_error);
  nghttp2_session* session = nullptr;
  if (nghttp2_session_client_new(&session, made, this) != 0) throw std::bad_alloc();
  session_.reset(session);
  submit(call);
}

void GrpcStream::submit(const GrpcCall& call) {
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  const std::string timeout = grpc_timeout(call.deadline - std::chrono::steady_clock::now());
  const nghttp2_nv headers[] = {pair(":method", "POST"),      pair(":scheme", "http"),
                                pair(":path", call.method),   pair(":authority", "localhost"),
                                pair("te", "trailers"),       pair("content-type", "application/grpc"),
                                pair("grpc-timeout", timeout)};
  nghttp2_data_provider body;
  body.source.ptr = nullptr;
  body.read_callback = Callbacks::on_request;
  nghttp2_session* session = session_.get();
  int failed = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  if (failed == 0) {
    failed = std::min(nghttp2_submit_request(session, nullptr, headers, std::size(headers), &body, nullptr), 0);
  }
  if (failed != 0) end(grpc_code::kInternal, nghttp2_strerror(failed));
}

void GrpcStream::output(std::string& bytes) {
  for (;;) {
    const uint8_t* next = nullptr;
    const ssize_t count = nghttp2_session_mem_send(session_.get(), &next);
    if (count < 0) return end(grpc_code::kInternal, nghttp2_strerror(static_cast<int>(count)));
    if (count == 0) break;
    bytes.append(reinterpret_cast<const char*>(next), static_cast<size_t>(count));
  }
  // The library's GOAWAY, which answers a breach of HTTP/2, is among them.
  if (nghttp2_session_want_read(session_.get()) == 0) {
    end(grpc_code::kUnavailable, with_cause("it does not keep to HTTP/2"));
  }
}

void GrpcStream::input(const uint8_t* bytes, size_t count) {
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), bytes, count);
  if (taken < 0) return end(grpc_code::kUnavailable, with_cause(nghttp2_strerror(static_cast<int>(taken))));
}

void GrpcStream::end(unsigned status, const std::string& message) {
  if (answer_) return;
  answer_.emplace();
  answer_->status = status;
  answer_->message = message;
}

size_t GrpcStream::take_request(uint8_t* target, size_t room) {
  const size_t taken = std::min(room, request_.size() - requested_);
  std::memcpy(target, request_.data() + requested_, taken);
  requested_ += taken;
  return taken;
}

/// Only a response has pseudo-header fields, and they come first (RFC 9113, 8.1 and 8.3).
void GrpcStream::header(std::string name, std::string value) {
  if (name == ":status") {
    initial_.clear();
    block_ = &initial_;
  }
  block_->emplace(std::move(name), std::move(value));
}

void GrpcStream::data(const uint8_t* bytes, size_t count) {
  if (answer_) return;
  body_.append(reinterpret_cast<const char*>(bytes), count);
  if (body_.size() < kGrpcPrefixBytes) return;
  const GrpcPrefix prefix = grpc_prefix(body_);
  if (prefix.length > longest_answer_) {
    return end(grpc_code::kResourceExhausted,
               "an answer of " + std::to_string(prefix.length) + " bytes; allowed: " + std::to_string(longest_answer_));
  }
  if (body_.size() > kGrpcPrefixBytes + prefix.length)
    end(grpc_code::kInternal, "more than the one message of an answer");
}

void GrpcStream::frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY) {
    cause_ = std::string("GOAWAY ") + nghttp2_http2_strerror(frame.goaway.error_code);
    const std::string debug = text_of(frame.goaway.opaque_data, frame.goaway.opaque_data_len);
    if (!debug.empty()) cause_ += " \"" + debug + "\"";
  }
  const bool is_data = frame.hd.type == NGHTTP2_DATA && frame.hd.stream_id == kStream;
  const bool is_last = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (is_last && (is_data || is_header(frame))) ended_by_peer();
}

void GrpcStream::closed(uint32_t error) {
  end(grpc_code::kUnavailable, with_cause(std::string("the call was ended with ") + nghttp2_http2_strerror(error)));
}

void GrpcStream::ended_by_peer() {
  if (answer_) return;
  const GrpcHeaders& last = trailers_.empty() ? initial_ : trailers_;
  const std::string text = value_of(last, "grpc-status"), http = value_of(initial_, ":status");
  if (text.empty()) {
    const std::string type = value_of(initial_, "content-type");
    const std::string found = "HTTP status " + http + ", content-type \"" + type + "\"";
    const bool is_grpc = http == "200" && starts_with(type, "application/grpc");
    return end(is_grpc ? grpc_code::kInternal : grpc_code::kUnknown, "an answer without grpc-status: " + found);
  }
  unsigned status = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return end(grpc_code::kUnknown, "grpc-status is \"" + text + "\", no number");
  }
  if (status == grpc_code::kOk) return judge_message();
  const std::string message = percent_decoded(value_of(last, "grpc-message"));
  end(status, message.empty() ? "gRPC status " + text + " without a message" : message);
  answer_->trailers = last;
}

void GrpcStream::judge_message() {
  if (body_.empty()) return end(grpc_code::kInternal, "an answer without a message");
  if (body_.size() < kGrpcPrefixBytes || body_.size() < kGrpcPrefixBytes + grpc_prefix(body_).length) {
    return end(grpc_code::kInternal,
               "the answer's message is cut short after " + std::to_string(body_.size()) + " bytes");
  }
  if (grpc_prefix(body_).compressed) return end(grpc_code::kInternal, "a compressed answer, which nobody asked for");
  end(grpc_code::kOk, "");
  answer_->response = body_.substr(kGrpcPrefixBytes);
}

std::string GrpcStream::with_cause(const std::string& what) const {
  return cause_.empty() ? what : what + ": " + cause_;
}

}  // namespace sluice::cni
