#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "l3/neighbours.h"
#include "l3/output.h"
#include "l3/reassembly.h"
#include "l3/route.h"
#include "l3/routing.h"
#include "packets.h"
#include "parse/parse.h"

namespace sluice::testing {

inline IpAddress ip_address(const std::string& text) {
  const Bytes bytes = address(text);
  return make_address(bytes.size() == 4 ? 4 : 6, bytes.data());
}

inline IpPrefix ip_prefix(const std::string& text) {
  const size_t slash = text.find('/');
  return {ip_address(text.substr(0, slash)), static_cast<uint8_t>(std::stoi(text.substr(slash + 1)))};
}

inline rte_ether_addr ether(const std::string& text) {
  rte_ether_addr made;
  memcpy(made.addr_bytes, mac(text).data(), RTE_ETHER_ADDR_LEN);
  return made;
}

/// A port of the node's file, with the MAC 02:00:00:00:00:<number> unless it is a tunnel.
inline PortConfig port(const std::string& name, const std::vector<std::string>& addresses = {}, uint16_t mtu = 1500) {
  PortConfig config;
  config.name = name;
  config.mtu = mtu;
  for (const auto& text : addresses) config.addresses.push_back(ip_prefix(text));
  return config;
}

inline PortConfig vxlan(const std::string& name, uint32_t vni, const std::string& local, uint16_t mtu = 1500) {
  PortConfig config = port(name, {}, mtu);
  config.kind = PortKind::Vxlan;
  config.vni = vni;
  config.local = ip_address(local);
  return config;
}

inline NextHopConfig via(const std::string& port, const std::string& gateway = "", uint32_t weight = 1) {
  NextHopConfig hop;
  hop.port = port;
  if (!gateway.empty()) hop.gateway = ip_address(gateway);
  hop.weight = weight;
  return hop;
}

inline NextHopConfig tunnel_to(const std::string& port, const std::string& remote, const std::string& inner_mac = "") {
  NextHopConfig hop = via(port);
  hop.remote = ip_address(remote);
  if (!inner_mac.empty()) hop.mac = ether(inner_mac);
  return hop;
}

inline RouteConfig route(const std::string& prefix, const std::vector<NextHopConfig>& hops, uint16_t table = 0) {
  RouteConfig config;
  config.prefix = ip_prefix(prefix);
  config.next_hops = hops;
  config.table = table;
  return config;
}

inline std::string port_mac(PortId id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  return std::string("02:00:00:00:00:") + kDigits[(id + 1) / 16 % 16] + kDigits[(id + 1) % 16];
}

/// A node with its ports numbered as in the state, each a CapturePort, and time that the test moves.
class Node {
 public:
  explicit Node(const DesiredState& desired, bool offloads = false) : state(desired) {
    for (PortId id = 0; id < state.ports.size(); id++) {
      if (state.ports[id].kind == PortKind::Vxlan) {
        captures.push_back(nullptr);
      } else {
        captures.push_back(&context.add_port(id, port_mac(id), state.ports[id].mtu, offloads));
      }
    }
    auto built = build();
    if (!built) throw std::invalid_argument(built.error().path + ": " + built.error().message);
    routing = std::move(built.value());
    auto table = Neighbours::create(64);
    if (!table) throw std::bad_alloc();
    neighbours = std::move(table.value());
    neighbours->set_static(routing->static_neighbours);
    context.worker.routing = routing.get();
    context.worker.neighbours = neighbours.get();
  }

  Result<std::unique_ptr<RoutingSnapshot>> build() const {
    return build_routing(state, [this](const std::string& name) -> std::optional<PortIdentity> {
      for (PortId id = 0; id < state.ports.size(); id++) {
        if (state.ports[id].name != name) continue;
        if (state.ports[id].kind == PortKind::Vxlan) return PortIdentity{id, {}, state.ports[id].mtu};
        return PortIdentity{id, ether(port_mac(id)), state.ports[id].mtu};
      }
      return std::nullopt;
    });
  }

  WorkerContext& worker() { return context.worker; }

  /// A received IP packet, parsed, with its link header in the headroom.
  rte_mbuf* receive(const Bytes& packet, PortId in_port = 0, const std::string& from_mac = "0a:00:00:00:00:01") {
    rte_mbuf* frame = context.packet(ethernet(port_mac(in_port), from_mac, packet), in_port);
    meta_of(frame)->out_port = kNoPort;
    meta_of(frame)->next_hop = kNoNextHop;
    if (routing->port(in_port) != nullptr) meta_of(frame)->table = routing->port(in_port)->table;
    const Parsed parsed = parse_frame(frame);
    EXPECT_EQ(parsed, Parsed::Ip) << abi::kDropReasonNames[meta_of(frame)->reason];
    return frame;
  }

  /// A large packet as a TAP hands it over: more than one segment.
  rte_mbuf* receive_long(const Bytes& packet, PortId in_port = 0) {
    const Bytes bytes = ethernet(port_mac(in_port), "0a:00:00:00:00:01", packet);
    rte_mbuf* frame = context.packet(Bytes(bytes.begin(), bytes.begin() + 200), in_port);
    for (size_t at = 200; at < bytes.size(); at += 1500) {
      const size_t end = std::min(bytes.size(), at + 1500);
      rte_mbuf* more = context.packet(Bytes(bytes.begin() + at, bytes.begin() + end), in_port);
      EXPECT_EQ(rte_pktmbuf_chain(frame, more), 0);
    }
    meta_of(frame)->out_port = kNoPort;
    meta_of(frame)->next_hop = kNoNextHop;
    EXPECT_EQ(parse_frame(frame), Parsed::Ip);
    return frame;
  }

  /// One packet through routing and output.
  void forward(rte_mbuf* packet) {
    RouteVerdicts verdicts;
    route_burst(worker(), &packet, 1, verdicts);
    output_burst(worker(), verdicts.forward, verdicts.forward_count);
    last_local = verdicts.local_count;
    for (uint16_t i = 0; i < verdicts.local_count; i++) rte_pktmbuf_free(verdicts.local[i]);
  }

  /// Frames that left by a port since the last call.
  std::vector<Bytes> sent(PortId id) {
    worker().flush_all();
    std::vector<Bytes> frames;
    for (const rte_mbuf* frame : captures[id]->sent) frames.push_back(bytes_of(frame));
    captures[id]->clear();
    return frames;
  }

  /// Packets that the node made itself since the last call.
  std::vector<Bytes> originated() {
    std::vector<Bytes> packets;
    auto& outbox = worker().originated;
    for (uint16_t i = 0; i < outbox.count; i++) {
      packets.push_back(bytes_of(outbox.packets[i]));
      rte_pktmbuf_free(outbox.packets[i]);
    }
    outbox.count = 0;
    return packets;
  }

  void pass(double seconds) { worker().now_ns += static_cast<uint64_t>(seconds * 1e9); }

  DesiredState state;
  TestContext context;
  std::vector<CapturePort*> captures;
  std::unique_ptr<RoutingSnapshot> routing;
  std::unique_ptr<Neighbours> neighbours;
  Reassembler reassembler;
  uint16_t last_local = 0;
};

inline NeighbourConfig neighbour(const std::string& port, const std::string& text, const std::string& at) {
  return {port, ip_address(text), ether(at)};
}

}  // namespace sluice::testing
