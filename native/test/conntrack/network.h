#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conntrack/flow_table.h"
#include "testing/eal.h"
#include "testing/frames.h"

namespace sluice::testing {

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58, kSctp = 132;
constexpr uint64_t kSecond = 1'000'000'000;

/// RCU variable with every thread registered and online.
class Rcu {
 public:
  explicit Rcu(uint32_t threads);
  ~Rcu();
  rte_rcu_qsbr* get() { return variable_; }
  void quiescent(uint32_t thread) { rte_rcu_qsbr_quiescent(variable_, thread); }

 private:
  rte_rcu_qsbr* variable_;
};

/// What conntrack made of a packet.
struct Seen {
  abi::CtState state = abi::CtState::UNTRACKED;
  abi::CtDirection direction = abi::CtDirection::ORIGINAL;
  uint32_t flow = 0;  ///< number + 1
  bool dropped = false;
  FlowState flow_state = FlowState::None;  ///< after the packet; None without a flow
};

/// A host on either end; how its packets look is in packet().
struct Endpoints {
  std::string source, destination;  ///< address, hex
  uint16_t source_port = 1000, destination_port = 2000;
};

/// The two ends of a row's flow: a client (10.0.0.1, 2001:db8::1, port 1000) and a server (…2, port 2000).
Endpoints ends(int family, abi::CtDirection direction);

Bytes tcp(int family, const Endpoints& ends, uint8_t flags, uint32_t sequence = 1, uint32_t acknowledgement = 1);
Bytes udp(int family, const Endpoints& ends);
Bytes sctp(int family, const Endpoints& ends, uint8_t chunk);
Bytes echo(int family, const Endpoints& ends, bool reply, uint16_t id);
/// A port unreachable from `source` (address, hex) to `destination` that quotes the packet.
Bytes icmp_error(int family, const std::string& source, const std::string& destination, const Bytes& quoted);

/// One worker and a flow table in virtual time.
class Network {
 public:
  explicit Network(FlowTableConfig config = with_room_for(4096));
  static FlowTableConfig with_room_for(uint32_t flows);

  using Rewrite = std::function<void(rte_mbuf*)>;
  /// Takes packets through a burst: parse, track, `rewrite` (a stage), confirm, settle, quiescent state.
  std::vector<Seen> burst(const std::vector<Bytes>& packets, const Rewrite& rewrite = nullptr);
  Seen send(const Bytes& packet, const Rewrite& rewrite = nullptr) { return burst({packet}, rewrite)[0]; }
  /// Tracks and drops the packet before it is confirmed; `look` gets it between the two.
  Seen send_dropped(const Bytes& packet, const Rewrite& look = nullptr);

  void advance(uint64_t seconds) { context.worker.now_ns += seconds * kSecond; }
  /// Ages the whole table.
  size_t age() { return table->age(context.worker.now_ns, UINT32_MAX); }
  /// Closes the table and opens it again, as a restarted process does.
  void restart();
  FlowState state_of(uint32_t number);

  TestContext context;
  FlowTableConfig config;
  Rcu rcu{1};
  std::unique_ptr<FlowTable> table;
};

/// A stage's rewrite of addresses and ports, checksums left alone.
Network::Rewrite rewrite_source(int family, const std::string& address, uint16_t port);
Network::Rewrite rewrite_destination(int family, const std::string& address, uint16_t port);

}  // namespace sluice::testing
