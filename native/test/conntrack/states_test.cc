// What a sequence of packets makes of a flow. Every row runs over IPv4 and over IPv6.
#include <gtest/gtest.h>

#include "conntrack/network.h"

namespace sluice {
namespace {

using namespace testing;
using abi::CtState;
using State = FlowState;

constexpr uint8_t FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32;
constexpr auto orig = abi::CtDirection::ORIGINAL, reply = abi::CtDirection::REPLY;
constexpr CtState NEW = CtState::NEW, EST = CtState::ESTABLISHED, INV = CtState::INVALID;

/// A packet from the client (orig) or the server (reply): what it carries, how it is judged, and the flow's state then.
/// `detail` is TCP's flags or SCTP's chunk type.
struct Step {
  abi::CtDirection from;
  uint8_t detail;
  CtState judged;
  State then;
};

struct Row {
  const char* description;
  std::vector<Step> steps;
};

using Build = Bytes (*)(int family, const Endpoints& ends, uint8_t detail);

void run(const Row* rows, size_t count, Build build) {
  for (const int family : {4, 6}) {
    for (size_t i = 0; i < count; i++) {
      Network network;
      size_t at = 0;
      for (const Step& step : rows[i].steps) {
        SCOPED_TRACE(std::string(rows[i].description) + ", IPv" + std::to_string(family) + ", packet " +
                     std::to_string(++at));
        const Seen seen = network.send(build(family, ends(family, step.from), step.detail));
        EXPECT_EQ(seen.state, step.judged);
        EXPECT_STREQ(name_of(seen.flow_state), name_of(step.then));
        EXPECT_FALSE(seen.dropped);
      }
    }
  }
}

const std::vector<Step> kHandshake = {{orig, SYN, NEW, State::TcpSynSent},
                                      {reply, SYN | ACK, EST, State::TcpSynRecv},
                                      {orig, ACK, EST, State::TcpEstablished}};

std::vector<Step> after_handshake(std::vector<Step> more) {
  more.insert(more.begin(), kHandshake.begin(), kHandshake.end());
  return more;
}

const Row kTcpRows[] = {
    {"handshake and data",
     after_handshake({{orig, ACK | PSH, EST, State::TcpEstablished}, {reply, ACK | PSH, EST, State::TcpEstablished}})},
    {"a SYN sent again",
     {{orig, SYN, NEW, State::TcpSynSent},
      {orig, SYN, NEW, State::TcpSynSent},
      {reply, SYN | ACK, EST, State::TcpSynRecv},
      {reply, SYN | ACK, EST, State::TcpSynRecv}}},
    {"close by the client", after_handshake({{orig, FIN | ACK, EST, State::TcpFinWait},
                                             {reply, ACK, EST, State::TcpCloseWait},
                                             {reply, FIN | ACK, EST, State::TcpLastAck},
                                             {orig, ACK, EST, State::TcpTimeWait}})},
    {"close by the server", after_handshake({{reply, FIN | ACK, EST, State::TcpFinWait},
                                             {orig, ACK, EST, State::TcpCloseWait},
                                             {orig, FIN | ACK, EST, State::TcpLastAck},
                                             {reply, ACK, EST, State::TcpTimeWait}})},
    {"a FIN sent again is no second FIN", after_handshake({{orig, FIN | ACK, EST, State::TcpFinWait},
                                                           {orig, FIN | ACK, EST, State::TcpFinWait},
                                                           {orig, ACK, EST, State::TcpFinWait},
                                                           {reply, ACK, EST, State::TcpCloseWait}})},
    {"close by both at once", after_handshake({{orig, FIN | ACK, EST, State::TcpFinWait},
                                               {reply, FIN | ACK, EST, State::TcpLastAck},
                                               {reply, ACK, EST, State::TcpLastAck},
                                               {orig, ACK, EST, State::TcpTimeWait}})},
    {"a new connection after the last", after_handshake({{orig, FIN | ACK, EST, State::TcpFinWait},
                                                         {reply, FIN | ACK, EST, State::TcpLastAck},
                                                         {orig, ACK, EST, State::TcpTimeWait},
                                                         {orig, SYN, NEW, State::TcpSynSent},
                                                         {reply, SYN | ACK, EST, State::TcpSynRecv}})},
    {"refused", {{orig, SYN, NEW, State::TcpSynSent}, {reply, RST | ACK, EST, State::TcpClose}}},
    {"reset by the client", after_handshake({{orig, RST | ACK, EST, State::TcpClose}})},
    {"reset by the server, then a new connection",
     after_handshake({{reply, RST | ACK, EST, State::TcpClose}, {orig, SYN, NEW, State::TcpSynSent}})},
    {"simultaneous open",
     {{orig, SYN, NEW, State::TcpSynSent},
      {reply, SYN, EST, State::TcpSynSent2},
      {orig, SYN | ACK, EST, State::TcpSynRecv},
      {reply, SYN | ACK, EST, State::TcpSynRecv},
      {orig, ACK, EST, State::TcpEstablished}}},
    {"picked up in mid-stream",
     {{orig, ACK | PSH, NEW, State::TcpUnacknowledged},
      {orig, ACK, NEW, State::TcpUnacknowledged},
      {reply, ACK, EST, State::TcpEstablished}}},
    {"SYN in a live connection changes nothing",
     after_handshake({{orig, SYN, EST, State::TcpEstablished}, {reply, ACK, EST, State::TcpEstablished}})},
    {"urgent data", after_handshake({{orig, ACK | URG, EST, State::TcpEstablished}})},
    {"a SYN-ACK begins nothing", {{orig, SYN | ACK, INV, State::None}}},
    {"a FIN begins nothing", {{orig, FIN | ACK, INV, State::None}}},
    {"a reset begins nothing", {{orig, RST, INV, State::None}}},
    {"null, Xmas, SYN with FIN and SYN with RST begin nothing",
     {{orig, 0, INV, State::None},
      {orig, FIN | PSH | URG, INV, State::None},
      {orig, SYN | FIN, INV, State::None},
      {orig, SYN | RST, INV, State::None}}},
    {"nonsense flags leave a flow alone",
     after_handshake({{orig, SYN | FIN, INV, State::None}, {orig, ACK, EST, State::TcpEstablished}})},
    {"the client's ACK before any SYN-ACK", {{orig, SYN, NEW, State::TcpSynSent}, {orig, ACK, INV, State::None}}},
};

TEST(TcpStates, FollowTheConnection) {
  run(kTcpRows, std::size(kTcpRows), [](int family, const Endpoints& ends, uint8_t flags) {
    // No acknowledgement numbers that would make a reset old; ResetsMustBeInWindow has those.
    return tcp(family, ends, flags, 100, 1);
  });
}

TEST(TcpStates, ResetsMustBeInWindow) {
  const struct {
    const char* description;
    uint32_t sequence;
    CtState judged;
    State then;
  } rows[] = {{"before what the client acknowledged", 4999, INV, State::TcpEstablished},
              {"exactly there", 5000, EST, State::TcpClose},
              {"further on", 6000, EST, State::TcpClose}};
  for (const int family : {4, 6}) {
    for (const auto& row : rows) {
      SCOPED_TRACE(row.description);
      Network network;
      network.send(tcp(family, ends(family, orig), SYN, 1, 0));
      network.send(tcp(family, ends(family, reply), SYN | ACK, 4999, 2));
      const Seen established = network.send(tcp(family, ends(family, orig), ACK, 2, 5000));
      EXPECT_EQ(network.send(tcp(family, ends(family, reply), RST, row.sequence, 0)).state, row.judged);
      EXPECT_EQ(network.state_of(established.flow - 1), row.then);
    }
  }
}

const Row kUdpRows[] = {
    {"question and answer", {{orig, 0, NEW, State::Udp}, {reply, 0, EST, State::Udp}}},
    {"a stream needs both ends and more",
     {{orig, 0, NEW, State::Udp},
      {reply, 0, EST, State::Udp},
      {orig, 0, EST, State::UdpStream},
      {reply, 0, EST, State::UdpStream}}},
    {"no answer", {{orig, 0, NEW, State::Udp}, {orig, 0, NEW, State::Udp}}},
};

TEST(UdpStates, FollowTheExchange) {
  run(kUdpRows, std::size(kUdpRows), [](int family, const Endpoints& ends, uint8_t) { return udp(family, ends); });
}

enum : uint8_t {
  DATA = 0,
  INIT = 1,
  INIT_ACK = 2,
  HEARTBEAT = 4,
  HEARTBEAT_ACK = 5,
  ABORT = 6,
  SHUTDOWN = 7,
  SHUTDOWN_ACK = 8,
  COOKIE_ECHO = 10,
  COOKIE_ACK = 11,
  SHUTDOWN_COMPLETE = 14
};

const std::vector<Step> kAssociation = {{orig, INIT, NEW, State::SctpCookieWait},
                                        {reply, INIT_ACK, EST, State::SctpCookieWait},
                                        {orig, COOKIE_ECHO, EST, State::SctpCookieEchoed},
                                        {reply, COOKIE_ACK, EST, State::SctpEstablished}};

std::vector<Step> after_association(std::vector<Step> more) {
  more.insert(more.begin(), kAssociation.begin(), kAssociation.end());
  return more;
}

const Row kSctpRows[] = {
    {"association and shutdown by the client",
     after_association({{orig, DATA, EST, State::SctpEstablished},
                        {orig, SHUTDOWN, EST, State::SctpShutdownSent},
                        {reply, SHUTDOWN_ACK, EST, State::SctpShutdownAckSent},
                        {orig, SHUTDOWN_COMPLETE, EST, State::SctpClosed}})},
    {"shutdown by the server", after_association({{reply, SHUTDOWN, EST, State::SctpShutdownRecd},
                                                  {orig, SHUTDOWN_ACK, EST, State::SctpShutdownAckSent}})},
    {"abort, then a new association",
     after_association({{reply, ABORT, EST, State::SctpClosed}, {orig, INIT, NEW, State::SctpCookieWait}})},
    {"a secondary path",
     {{orig, HEARTBEAT, NEW, State::SctpHeartbeatSent}, {reply, HEARTBEAT_ACK, EST, State::SctpEstablished}}},
    {"data begins nothing", {{orig, DATA, INV, State::None}}},
    {"data before the cookie", {{orig, INIT, NEW, State::SctpCookieWait}, {orig, DATA, INV, State::None}}},
};

TEST(SctpStates, FollowTheAssociation) {
  run(kSctpRows, std::size(kSctpRows), sctp);
}

TEST(EchoStates, RequestsBeginAFlowAndRepliesDoNot) {
  for (const int family : {4, 6}) {
    Network network;
    EXPECT_EQ(network.send(echo(family, ends(family, reply), true, 7)).state, INV);
    const Seen request = network.send(echo(family, ends(family, orig), false, 7));
    EXPECT_EQ(request.state, NEW);
    const Seen answer = network.send(echo(family, ends(family, reply), true, 7));
    EXPECT_EQ(answer.state, EST);
    EXPECT_EQ(answer.flow, request.flow);
    EXPECT_EQ(answer.direction, reply);
    EXPECT_EQ(network.send(echo(family, ends(family, reply), true, 8)).state, INV) << "another identifier";
    const Seen back = network.send(echo(family, ends(family, reply), false, 7));
    EXPECT_EQ(back.state, NEW) << "the other end's own ping";
    EXPECT_NE(back.flow, request.flow);
  }
}

TEST(OtherProtocols, AreFlowsWithoutPorts) {
  for (const int family : {4, 6}) {
    Network network;
    const auto esp = [family](abi::CtDirection from) {
      const Endpoints at = ends(family, from);
      return family == 4 ? ip4({50, "0000000100000001", at.source, at.destination})
                         : ip6({50, "0000000100000001", at.source, at.destination});
    };
    const Seen first = network.send(esp(orig));
    EXPECT_EQ(first.state, NEW);
    EXPECT_EQ(first.flow_state, State::Generic);
    const Seen second = network.send(esp(reply));
    EXPECT_EQ(second.state, EST);
    EXPECT_EQ(second.flow, first.flow);
  }
}

TEST(Untracked, IsWhatHasNoFlow) {
  const std::string group6 = "ff0200000000000000000001ff000002";
  const struct {
    const char* description;
    Bytes packet;
  } rows[] = {
      {"neighbour solicitation", ip6({kIcmp6, "87000000 00000000" + std::string(kB6), kA6, group6})},
      {"neighbour advertisement to one host", ip6({kIcmp6, "88000000 60000000" + std::string(kA6)})},
      {"short multicast listener message", ip6({kIcmp6, "84000000"})},
      {"IPv6 multicast", ip6({kUdp, "03e807d000080000", kA6, group6})},
      {"IPv4 multicast", ip4({kUdp, "03e807d000080000", kA4, "e0000001"})},
      {"IPv4 broadcast", ip4({kUdp, "03e807d000080000", kA4, "ffffffff"})},
      {"a fragment", ip4({kUdp, "03e807d000080000", kA4, kB4, "", 0x2000})},
      {"an IPv6 fragment", ip6({44, "1100000100000001 03e807d000080000"})},
      {"router advertisement, IPv4", ip4({kIcmp, "0900000000000000"})},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.description);
    Network network;
    const Seen seen = network.send(row.packet);
    EXPECT_EQ(seen.state, CtState::UNTRACKED);
    EXPECT_EQ(seen.flow, 0u);
    EXPECT_EQ(network.table->live(), 0u);
  }
}

}  // namespace
}  // namespace sluice
