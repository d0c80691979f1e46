#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace sluice::cni {

// How gRPC writes things in HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

/// Before each message: a byte that tells whether it is compressed, and its length, in network byte order.
constexpr size_t kGrpcPrefixBytes = 5;

struct GrpcPrefix {
  bool compressed;
  size_t length;
};

/// Of at least kGrpcPrefixBytes bytes.
GrpcPrefix grpc_prefix(const std::string& bytes);

/// The message behind its prefix, not compressed.
std::string grpc_framed(const std::string& message);

/// Of the header grpc-timeout, which has at most eight digits: in milliseconds, rounded up.
std::string grpc_timeout(std::chrono::nanoseconds left);

/// Of grpc-message; what is no escape stays as it is.
std::string percent_decoded(const std::string& text);

/// Of a header whose name ends with "-bin": base64 (RFC 4648, section 4), padded or not; the first value of a list.
std::optional<std::string> binary_value(const std::string& text);

}  // namespace sluice::cni
