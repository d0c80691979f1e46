#include "grpc_call.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>

#include "grpc_wire.h"
#include "scripted_peer.h"

// What a server may do, in the bytes of HTTP/2 (RFC 9113, sections 4 and 6; header fields: RFC 7541, 6.2.2, not
// indexed).
namespace sluice::cni {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPushPromise = 5, kPing = 6, kGoaway = 7;
constexpr uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4;
constexpr size_t kLongest = 100'000;

std::string frame(uint8_t type, uint8_t flags, uint8_t stream, const std::string& payload) {
  const size_t size = payload.size();
  std::string bytes{static_cast<char>(size >> 16),
                    static_cast<char>(size >> 8),
                    static_cast<char>(size),
                    static_cast<char>(type),
                    static_cast<char>(flags),
                    0,
                    0,
                    0,
                    static_cast<char>(stream)};
  return bytes + payload;
}

using Fields = std::initializer_list<std::pair<std::string, std::string>>;

std::string headers(uint8_t flags, const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
  }
  return frame(kHeaders, flags | kEndHeaders, 1, block);
}

std::string data(const std::string& bytes, uint8_t flags = 0) {
  return frame(kData, flags, 1, bytes);
}

/// In frames of 16,384 bytes, the most that a peer may send unasked.
std::string many_data(const std::string& bytes) {
  std::string frames;
  for (size_t at = 0; at < bytes.size(); at += 16384) frames += data(bytes.substr(at, 16384));
  return frames;
}

std::string number(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string goaway(uint32_t last, uint32_t error, const std::string& debug) {
  return frame(kGoaway, 0, 0, number(last) + number(error) + debug);
}

const std::string kHello = frame(kSettings, 0, 0, "");
const std::string kOkHeaders = headers(0, {{":status", "200"}, {"content-type", "application/grpc+proto"}});
const std::string kOkStart = kHello + kOkHeaders;
const std::string kOkEnd = headers(kEndStream, {{"grpc-status", "0"}, {"grpc-message", "OK"}});

/// GET http://x/ and its answer, status 200 (RFC 7541, appendix A), on stream 2.
const std::string kPush = frame(kPushPromise, kEndHeaders, 1, number(2) + "\x82\x86\x84\x41\x01x") +
                          frame(kHeaders, kEndHeaders, 2, "\x88") + frame(kData, kEndStream, 2, "pushed");

std::string refusal(const Fields& fields) {
  return kOkStart + headers(kEndStream, fields);
}

struct Row {
  const char* what;
  std::string sent;
  Peer::Then then;
  unsigned status;
  const char* message;  ///< the start of it
};

const Row kRows[] = {
    {"nothing, and hangs", "", Peer::Hang, 4, "no answer before the deadline"},
    {"nothing, and goes", "", Peer::Close, 14, "the connection was closed before the answer"},
    {"half a frame, and hangs", kHello.substr(0, 4), Peer::Hang, 4, "no answer before the deadline"},
    {"half a frame, and goes", kHello.substr(0, 4), Peer::Close, 14, "the connection was closed before the answer"},
    {"HTTP/1.1", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", Peer::Hang, 14,
     "it does not keep to HTTP/2: Remote peer returned unexpected data while we expected SETTINGS frame"},
    {"zeros", std::string(64, '\0'), Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"a frame that is too long", kHello + "\xff\xff\xff\0\0\0\0\0\1"s, Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"fields that are no HPACK", kHello + frame(kHeaders, kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff\xff\xff"),
     Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"settings of half a size", frame(kSettings, 0, 0, "abc"), Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"a push that it has been told not to make", kHello + frame(kSettings, kAck, 0, "") + kOkHeaders + kPush,
     Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"a push that it does not know it must not make", kOkStart + kPush + data(grpc_framed("ab")) + kOkEnd, Peer::Hang,
     0, ""},
    {"GOAWAY before the call", kHello + goaway(0, 11, "calm down"), Peer::Hang, 14,
     "the call was ended with REFUSED_STREAM: GOAWAY ENHANCE_YOUR_CALM \"calm down\""},
    {"GOAWAY, and the call's answer still", kHello + goaway(1, 0, "") + kOkHeaders + data(grpc_framed("ab")) + kOkEnd,
     Peer::Close, 0, ""},
    {"GOAWAY, and goes without the call's answer", kHello + goaway(1, 0, ""), Peer::Close, 14,
     "the connection was closed before the answer: GOAWAY NO_ERROR"},
    {"RST_STREAM", kHello + frame(kReset, 0, 1, number(8)), Peer::Hang, 14, "the call was ended with CANCEL"},
    {"RST_STREAM within the answer", kOkStart + data(grpc_framed("ab")) + frame(kReset, 0, 1, number(2)), Peer::Hang,
     14, "the call was ended with INTERNAL_ERROR"},
    {"DATA before any header", kHello + data(grpc_framed("ab")), Peer::Hang, 14, "it does not keep to HTTP/2"},
    {"the end without trailers", kOkStart + data(grpc_framed("ab"), kEndStream), Peer::Hang, 13,
     "an answer without grpc-status: HTTP status 200, content-type \"application/grpc+proto\""},
    {"HTTP's own error", kHello + headers(kEndStream, {{":status", "503"}, {"content-type", "text/html"}}), Peer::Hang,
     2, "an answer without grpc-status: HTTP status 503, content-type \"text/html\""},
    {"a status that is no number", refusal({{"grpc-status", "3x"}}), Peer::Hang, 2, "grpc-status is \"3x\", no number"},
    {"a status with a message", refusal({{"grpc-status", "9"}, {"grpc-message", "100%25 taken"}}), Peer::Hang, 9,
     "100% taken"},
    {"a status without a message", refusal({{"grpc-status", "13"}}), Peer::Hang, 13,
     "gRPC status 13 without a message"},
    {"trailers only",
     kHello + headers(kEndStream, {{":status", "200"}, {"grpc-status", "12"}, {"grpc-message", "no such method"}}),
     Peer::Hang, 12, "no such method"},
    {"OK without a message", kOkStart + kOkEnd, Peer::Hang, 13, "an answer without a message"},
    {"OK within a prefix", kOkStart + data("\0\0\0"s) + kOkEnd, Peer::Hang, 13,
     "the answer's message is cut short after 3 bytes"},
    {"OK within a message", kOkStart + data("\0\0\0\0\5ab"s) + kOkEnd, Peer::Hang, 13,
     "the answer's message is cut short after 7 bytes"},
    {"two messages", kOkStart + data(grpc_framed("ab") + grpc_framed("ab")) + kOkEnd, Peer::Hang, 13,
     "more than the one message of an answer"},
    {"a compressed message", kOkStart + data("\1\0\0\0\1a"s) + kOkEnd, Peer::Hang, 13, "a compressed answer"},
    {"a message that is too long", kOkStart + data("\0\xff\0\0\0"s), Peer::Hang, 8,
     "an answer of 4278190080 bytes; allowed: 100000"},
    {"an answer", kOkStart + data(grpc_framed("ab")) + kOkEnd, Peer::Hang, 0, ""},
    {"an answer behind an interim response",
     kHello + headers(0, {{":status", "103"}}) + kOkHeaders + data(grpc_framed("ab")) + kOkEnd, Peer::Hang, 0, ""},
    {"a ping on the way", kOkStart + frame(kPing, 0, 0, "12345678") + data(grpc_framed("ab")) + kOkEnd, Peer::Hang, 0,
     ""},
};

GrpcCall call_of(const std::string& socket, const std::string& request = "ask") {
  return {socket, "/test.Service/Method", request, std::chrono::steady_clock::now() + 300ms, kLongest};
}

TEST(GrpcCall, EndsWithAStatusWhateverThePeerSends) {
  for (const Row& row : kRows) {
    // Whole, and a byte at a time.
    for (const size_t piece : {row.sent.size() + 1, size_t{1}}) {
      const Peer peer(row.sent, row.then, piece);
      const GrpcAnswer answer = grpc_call(call_of(peer.path()));
      EXPECT_EQ(answer.status, row.status) << row.what << ": " << answer.message;
      EXPECT_EQ(answer.message.substr(0, std::string(row.message).size()), row.message) << row.what;
      EXPECT_EQ(answer.message.empty(), row.status == grpc_code::kOk) << row.what;
      EXPECT_EQ(answer.response, row.status == grpc_code::kOk ? "ab" : "") << row.what;
    }
  }
}

TEST(GrpcCall, AMessageOfManyFramesIsPutTogether) {
  const std::string message(60'000, 'm');
  const Peer peer(kOkStart + many_data(grpc_framed(message)) + kOkEnd, Peer::Hang);
  const GrpcAnswer answer = grpc_call(call_of(peer.path()));
  EXPECT_EQ(answer.status, grpc_code::kOk) << answer.message;
  EXPECT_EQ(answer.response, message);
}

TEST(GrpcCall, TrailersOfARefusalAreGiven) {
  const Peer peer(refusal({{"grpc-status", "9"}, {"x-error-bin", "Zm9v"}}), Peer::Hang);
  EXPECT_EQ(grpc_call(call_of(peer.path())).trailers.at("x-error-bin"), "Zm9v");
}

// The peer grants no more than the first 65,535 bytes (RFC 9113, 6.9.2), and then goes.
TEST(GrpcCall, ARequestKeepsToTheWindowThatThePeerGrants) {
  const Peer peer(kHello, Peer::Hang);
  EXPECT_EQ(grpc_call(call_of(peer.path(), std::string(200'000, 'r'))).status, grpc_code::kDeadlineExceeded);
  EXPECT_EQ(std::count(peer.received().begin(), peer.received().end(), 'r') / 1000, 65);
}

TEST(GrpcCall, APeerThatGoesOrIsNotThereIsUnavailable) {
  EXPECT_EQ(grpc_call(call_of("/nowhere/x.sock")).message, "connect: No such file or directory");
  EXPECT_EQ(grpc_call(call_of("/" + std::string(200, 'x'))).message, "a unix socket's path has at most 107 bytes");
}

TEST(GrpcCall, APeerThatTakesNoConnectionIsLate) {
  const FullListener listener;
  const GrpcAnswer answer = grpc_call(call_of(listener.path()));
  EXPECT_EQ(answer.status, grpc_code::kDeadlineExceeded) << answer.message;
}

}  // namespace
}  // namespace sluice::cni
