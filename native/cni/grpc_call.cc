#include "grpc_call.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/descriptor.h"
#include "grpc_stream.h"

namespace sluice::cni {

namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr const char* kLate = "no answer before the deadline";

std::string error_text(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

std::chrono::microseconds left_until(Deadline deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::max(std::chrono::ceil<std::chrono::microseconds>(left), std::chrono::microseconds::zero());
}

/// A unix socket of which no call waits longer than the deadline.
class Connection {
 public:
  explicit Connection(Deadline deadline)
      : deadline_(deadline), socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}

  /// Ends the stream where there is nobody, or nobody who takes the connection in time.
  void open(const std::string& path, GrpcStream& stream) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
      return stream.end(grpc_code::kUnavailable,
                        "a unix socket's path has at most " + std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    // Before O_NONBLOCK: connect() waits for room in the listener's backlog, as long as a send may.
    const auto left = left_until(deadline_).count();
    const timeval most{left / 1'000'000, std::max<suseconds_t>(left % 1'000'000, 1)};
    setsockopt(socket_.number(), SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    if (connect(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      if (fcntl(socket_.number(), F_SETFL, O_NONBLOCK) == 0) return;
    }
    const bool late = errno == EAGAIN;
    stream.end(late ? grpc_code::kDeadlineExceeded : grpc_code::kUnavailable, late ? kLate : error_text("connect"));
  }

  /// As much as the peer takes now. That it has gone is left to receive(), which first has what the peer sent before.
  void send(std::string& bytes) const {
    if (bytes.empty()) return;
    const ssize_t sent = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    bytes.erase(0, sent < 0 ? bytes.size() : static_cast<size_t>(sent));
  }

  /// Until something has come, or room has where it is waited for. Returns false when that was not before the deadline.
  bool wait(bool for_room) const {
    const auto left = left_until(deadline_);
    if (left == std::chrono::microseconds::zero()) return false;
    pollfd polled{socket_.number(), static_cast<short>(for_room ? POLLIN | POLLOUT : POLLIN), 0};
    const timespec most{left.count() / 1'000'000, left.count() % 1'000'000 * 1000};
    return ppoll(&polled, 1, &most, nullptr) != 0;
  }

  void receive(GrpcStream& stream) const {
    std::array<uint8_t, 16384> bytes;
    const ssize_t count = recv(socket_.number(), bytes.data(), bytes.size(), 0);
    if (count > 0) return stream.input(bytes.data(), static_cast<size_t>(count));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    stream.cut_off(count == 0 ? "the connection was closed before the answer" : error_text("recv"));
  }

 private:
  Deadline deadline_;
  Descriptor socket_;
};

}  // namespace

GrpcAnswer grpc_call(const GrpcCall& call) {
  GrpcStream stream(call);
  Connection connection(call.deadline);
  connection.open(call.socket, stream);
  std::string unsent;
  while (!stream.answer()) {
    stream.output(unsent);
    connection.send(unsent);
    if (stream.answer()) break;
    if (connection.wait(!unsent.empty()))
      connection.receive(stream);
    else
      stream.end(grpc_code::kDeadlineExceeded, kLate);
  }
  return *stream.answer();
}

}  // namespace sluice::cni
