#include "path_node.h"

#include <netinet/in.h>

#include "check.h"
#include "parse/parse.h"
#include "testing/frames.h"

namespace sluice::fuzz {
namespace {

using testing::address;
using testing::neighbour;
using testing::port;
using testing::route;
using testing::tunnel_to;
using testing::via;

constexpr uint64_t kSecond = 1'000'000'000;

/// A minute each: time may have gone back by four minutes after each of an input's four bursts, and a neighbour is
/// asked for three times before what waits for it is given up.
constexpr int kDrainTicks = 24;
constexpr uint16_t kWireMtu = 1280;

/// The L4 checksum of a whole packet comes out as zero; what has none is taken as right.
bool l4_checksum_is_right(const Bytes& packet, const PacketMeta& meta) {
  const uint8_t protocol = meta.protocol;
  const bool icmp = protocol == (meta.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (meta.l4_offset == 0 || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && !icmp)) return true;
  Bytes message(packet.begin() + meta.l4_offset, packet.end());
  if (protocol == IPPROTO_UDP) {
    message.resize(static_cast<size_t>(message[4] << 8 | message[5]));
    if (message[6] == 0 && message[7] == 0) return meta.family == 4;
  }
  Bytes pseudo;
  if (protocol != IPPROTO_ICMP) {
    pseudo.assign(packet.begin() + (meta.family == 4 ? 12 : 8), packet.begin() + (meta.family == 4 ? 20 : 40));
    const auto length = static_cast<uint32_t>(message.size());
    using testing::operator+;
    pseudo = pseudo + testing::be32(length) + testing::be32(protocol);
  }
  pseudo.insert(pseudo.end(), message.begin(), message.end());
  return testing::checksum(pseudo) == 0;
}

}  // namespace

DesiredState PathNode::state() {
  DesiredState desired;
  desired.ports = {port("pod", {"10.0.0.1/24", "fd00::1/64", "fe80::1/64"}, 9000),
                   port("wire", {"10.0.1.1/24", "fd00:1::1/64"}, kWireMtu), testing::vxlan("tunnel", 42, "10.0.1.1")};
  desired.routes = {route("0.0.0.0/0", {via("wire", "10.0.1.2")}), route("::/0", {via("wire", "fd00:1::2")}),
                    route("10.5.0.0/16", {tunnel_to("tunnel", "10.0.1.2", "0e:00:00:00:00:04")}),
                    route("fd00:5::/32", {tunnel_to("tunnel", "10.0.1.2", "0e:00:00:00:00:04")})};
  desired.neighbours = {
      neighbour("pod", "10.0.0.2", "0a:00:00:00:00:02"), neighbour("pod", "fd00::2", "0a:00:00:00:00:02"),
      neighbour("wire", "10.0.1.2", "0b:00:00:00:00:02"), neighbour("wire", "fd00:1::2", "0b:00:00:00:00:02")};
  return desired;
}

Plan PathNode::plan() {
  Plan plan;
  for (const char* text : {"10.0.0.2", "10.0.1.2", "10.0.1.1", "10.0.0.1", "10.5.0.9", "192.0.2.1", "10.0.0.77"}) {
    plan.addresses4.push_back(address(text));
  }
  for (const char* text :
       {"fd00::2", "fd00:1::2", "fd00:1::1", "fd00::1", "fd00:5::9", "2001:db8::1", "fe80::1", "ff02::1", "fd00::77"}) {
    plan.addresses6.push_back(address(text));
  }
  plan.ports = {80, 1000, 53, 4789};
  plan.mac = testing::mac(testing::port_mac(0));
  return plan;
}

rte_mbuf* PathNode::received(Source& source, const Frame& frame, PortId port) {
  Bytes bytes = frame.bytes;
  if (port == 1 && bytes.size() >= 6) bytes[5] = static_cast<uint8_t>(port + 1);
  // Now and then in pieces, as a TAP hands large frames over.
  const size_t first = source.rarely(8) ? 14u + source.byte() : 1900;
  const auto cut = static_cast<long>(std::min(first, bytes.size()));
  rte_mbuf* packet = path.node.context.packet(Bytes(bytes.begin(), bytes.begin() + cut), port);
  if (cut == static_cast<long>(bytes.size())) return packet;
  bytes.erase(bytes.begin(), bytes.begin() + cut);
  bytes.resize(std::min<size_t>(bytes.size(), 1900));
  FUZZ_CHECK(rte_pktmbuf_chain(packet, path.node.context.packet(bytes, port)) == 0, "two pieces");
  return packet;
}

void PathNode::attack(Source& source) {
  const uint64_t drops = path.node.context.all_drops();
  bool intact = true;  // all that may be sent
  for (int burst = 0; burst < 4 && !source.empty(); burst++) {
    const auto port = static_cast<PortId>(source.below(2));
    std::vector<rte_mbuf*> frames;
    if (path.node.context.buffers_in_use() == 0)
      intact = true;  // else one of an earlier burst may wait for a neighbour
    for (uint32_t i = 1 + source.below(6); i > 0; i--) {
      const Frame made = frame(source, plan_);
      intact = intact && made.intact && !made.fragment;
      frames.push_back(received(source, made, port));
    }
    path.receive(frames, port);
    check_sent(intact);
    // Time may stand still, pass, jump, and go back.
    path.node.worker().now_ns += source.rarely(4) ? source.word() * (kSecond / 64) : source.byte();
    if (source.rarely(16))
      path.node.worker().now_ns -= std::min(path.node.worker().now_ns - kSecond, source.byte() * kSecond);
    if (source.rarely(4)) path.tick();
  }
  drain();
  const uint32_t held = path.node.context.buffers_in_use();
  FUZZ_CHECK(held == 0, "%u buffers held after an input, %llu drops in it", held,
             static_cast<unsigned long long>(path.node.context.all_drops() - drops));
}

void PathNode::check_sent(bool intact) {
  path.node.worker().flush_all();
  for (testing::CapturePort* port : path.node.captures) {
    if (port == nullptr) continue;
    for (const rte_mbuf* frame : port->sent) check_frame(frame, *port, intact);
    port->clear();
  }
}

/// What leaves is a frame that the parser takes, no larger than the port's MTU.
void PathNode::check_frame(const rte_mbuf* frame, const Port& port, bool intact) const {
  const Bytes bytes = testing::bytes_of(frame);
  testing::ExactPacket copy(bytes);
  copy.meta().flags = 0;
  const Parsed parsed = parse_frame(copy.get());
  const PacketMeta& meta = copy.meta();
  if (!stages_write) {
    FUZZ_CHECK(parsed != Parsed::Drop, "%s would drop it: %s", port.name.c_str(), abi::kDropReasonNames[meta.reason]);
  }
  if (parsed != Parsed::Ip) return;
  if (has_flag(*meta_of(const_cast<rte_mbuf*>(frame)), abi::Flag::SUPER_FRAME)) return;
  FUZZ_CHECK(copy.get()->pkt_len <= port.mtu, "%u bytes by %s", copy.get()->pkt_len, port.name.c_str());
  const bool partial = has_flag(*meta_of(const_cast<rte_mbuf*>(frame)), abi::Flag::PARTIAL_CHECKSUM);
  if (!intact || stages_write || partial || has_flag(meta, abi::Flag::FRAGMENT)) return;
  const Bytes packet(bytes.begin() + meta.l2_length, bytes.begin() + meta.l2_length + copy.get()->pkt_len);
  FUZZ_CHECK(l4_checksum_is_right(packet, meta), "L4 checksum of %s", testing::hex(packet).c_str());
}

/// Lets all that waits for something wait in vain, and all flows end.
void PathNode::drain() {
  WorkerContext& worker = path.node.worker();
  for (int i = 0; i < kDrainTicks; i++) {
    worker.now_ns += 61 * kSecond;
    path.tick();
    check_sent(false);
  }
  if (path.flows->live() > path.flows->max_flows() / 2)
    path.flows->age(worker.now_ns + 10 * 86400 * kSecond, UINT32_MAX);
}

}  // namespace sluice::fuzz
