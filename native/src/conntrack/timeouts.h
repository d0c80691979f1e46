#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sluice {

/// Where a flow stands. The names are Linux's nf_conntrack timeouts, one for each state.
enum class FlowState : uint8_t {
  None,  ///< no packet yet
  TcpSynSent,
  TcpSynRecv,
  TcpEstablished,
  TcpFinWait,
  TcpCloseWait,
  TcpLastAck,
  TcpTimeWait,
  TcpClose,
  TcpSynSent2,        ///< SYNs from both ends
  TcpUnacknowledged,  ///< picked up in mid-stream, no packet from the other end yet
  Udp,
  UdpStream,
  Icmp,
  Icmpv6,
  SctpClosed,
  SctpCookieWait,
  SctpCookieEchoed,
  SctpEstablished,
  SctpShutdownSent,
  SctpShutdownRecd,
  SctpShutdownAckSent,
  SctpHeartbeatSent,
  Generic,
};
constexpr size_t kFlowStates = 24;

struct TimeoutDefault {
  const char* name;
  uint32_t seconds;
};

/// By FlowState. Values of Linux 6.1's nf_conntrack (net.netfilter.nf_conntrack_*_timeout_*).
constexpr std::array<TimeoutDefault, kFlowStates> kTimeoutDefaults = {{
    {"none", 10},
    {"tcp_syn_sent", 120},
    {"tcp_syn_recv", 60},
    {"tcp_established", 432000},
    {"tcp_fin_wait", 120},
    {"tcp_close_wait", 60},
    {"tcp_last_ack", 30},
    {"tcp_time_wait", 120},
    {"tcp_close", 10},
    {"tcp_syn_sent2", 120},
    {"tcp_unacknowledged", 300},
    {"udp", 30},
    {"udp_stream", 120},
    {"icmp", 30},
    {"icmpv6", 30},
    {"sctp_closed", 10},
    {"sctp_cookie_wait", 3},
    {"sctp_cookie_echoed", 3},
    {"sctp_established", 210},
    {"sctp_shutdown_sent", 3},
    {"sctp_shutdown_recd", 3},
    {"sctp_shutdown_ack_sent", 3},
    {"sctp_heartbeat_sent", 30},
    {"generic", 600},
}};

/// Seconds by FlowState.
using Timeouts = std::array<uint32_t, kFlowStates>;

Timeouts default_timeouts();

/// The defaults with these changed. Refuses names that there are not and values outside 1 s to 30 days; the error's
/// path is a JSON pointer below /conntrack/timeouts.
Result<Timeouts> make_timeouts(const std::vector<std::pair<std::string, uint32_t>>& changes);

inline const char* name_of(FlowState state) {
  return kTimeoutDefaults[static_cast<size_t>(state)].name;
}

}  // namespace sluice
