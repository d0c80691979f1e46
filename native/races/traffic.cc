#include "traffic.h"

#include <algorithm>

#include "failed.h"
#include "l3/packets.h"
#include "places.h"

namespace sluice::races {
namespace {

using namespace testing;  // NOLINT: packets read as a table

constexpr uint16_t kFlows = 64;      ///< that live long, in both directions
constexpr uint16_t kPassing = 2000;  ///< that are there for one packet: more than the flow table holds
constexpr size_t kAtOnce = 512;

Bytes at_a(const Bytes& packet) {
  return ethernet("02:00:00:00:00:0a", "02:00:00:00:00:a2", packet);
}
Bytes at_b(const Bytes& packet) {
  return ethernet("02:00:00:00:00:0b", "02:00:00:00:00:b2", packet);
}

Bytes datagram(const std::string& from, const std::string& to, uint16_t source, uint16_t destination) {
  return ip(from, to, IPPROTO_UDP, udp_datagram(from, to, filler(32), source, destination));
}

/// A datagram in two pieces.
std::vector<Bytes> fragments(uint16_t id) {
  const Bytes whole = udp_datagram("10.0.0.2", "10.0.1.2", filler(64), 999, 2000);
  const Bytes first(whole.begin(), whole.begin() + 32), rest(whole.begin() + 32, whole.end());
  return {ip("10.0.0.2", "10.0.1.2", IPPROTO_UDP, first, {64, id, kMf}),
          ip("10.0.0.2", "10.0.1.2", IPPROTO_UDP, rest, {64, id, 4})};
}

/// Without a checksum, as a stage that knows none changes its ports.
Bytes unchecked(const std::string& from, const std::string& to, uint16_t source, uint16_t destination) {
  Bytes packet = datagram(from, to, source, destination);
  put16(packet, 26, 0);
  return packet;
}

Bytes echo(const std::string& to, uint16_t number) {
  return icmp("10.0.0.2", to, Bytes{8, 0, 0, 0} + be16(number) + be16(1));
}

}  // namespace

Traffic::Traffic(Dataplane& dataplane) : dataplane_(dataplane) {
  for (uint16_t i = 0; i < kPassing; i++) {
    const auto flow = static_cast<uint16_t>(1000 + i % kFlows);
    to_a_.push_back(at_a(datagram("10.0.0.2", "10.0.1.2", flow, 2000)));
    to_b_.push_back(at_b(datagram("10.0.1.2", "10.0.0.2", 2000, flow)));
    to_a_.push_back(at_a(datagram("fd00::2", "fd00:1::2", flow, 2000)));
    to_b_.push_back(at_b(datagram("fd00:1::2", "fd00::2", 2000, flow)));
    to_a_.push_back(at_a(datagram("10.0.0.2", "10.3.0.9", static_cast<uint16_t>(10000 + i), 2000)));
    to_a_.push_back(at_a(unchecked("10.0.0.2", "10.0.1.2", kOwnPort, kMovedPort)));
    to_b_.push_back(
        at_b(unchecked("10.0.1.2", "10.0.0.2", kMovedPort, static_cast<uint16_t>('0' << 8 | ('0' + i % 10)))));
    if (i % 8 != 0) continue;
    to_a_.push_back(at_a(datagram("10.0.0.2", "10.4.0.9", flow, 2000)));  // through the tunnel
    to_a_.push_back(at_a(echo("10.0.0.1", i)));
    to_a_.push_back(at_a(datagram("10.0.0.2", "10.0.1.77", flow, 2000)));  // nobody is there, or comes late
    for (const Bytes& fragment : fragments(i)) to_a_.push_back(at_a(fragment));
    if (i % 64 == 0)
      to_b_.push_back(arp_frame("02:00:00:00:00:0b", "02:00:00:00:00:77",
                                arp(2, "02:00:00:00:00:77", "10.0.1.77", "02:00:00:00:00:0b", "10.0.1.1")));
  }
  to_a_.push_back(at_a(datagram("10.0.0.2", "10.0.1.2", 1, kTrapPort)));
}

void Traffic::send() {
  send("a", to_a_, next_a_);
  send("b", to_b_, next_b_);
  receive("a");
  receive("b");
}

void Traffic::finish() {
  while (next_a_ != 0) send();
}

void Traffic::send(const char* port, const Frames& frames, size_t& next) {
  const size_t end = std::min(next + kAtOnce, frames.size());
  const Frames batch(frames.begin() + static_cast<long>(next), frames.begin() + static_cast<long>(end));
  const uint32_t taken = value_of("inject", dataplane_.inject(port, batch));
  next = (next + taken) % frames.size();
  sent_ += taken;
}

void Traffic::receive(const char* port) {
  received_ += value_of("collect", dataplane_.collect(port, UINT32_MAX)).size();
}

}  // namespace sluice::races
