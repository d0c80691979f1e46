#include "frames.h"

#include <netinet/in.h>

#include <algorithm>

namespace sluice::fuzz {
namespace {

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes be16(size_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}
Bytes be32(uint32_t value) {
  return be16(value >> 16) + be16(value & 0xffff);
}

uint16_t checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void put16(Bytes& bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

/// An IP packet in the making.
struct Draft {
  bool v6;
  Bytes source, destination;
  uint8_t protocol = IPPROTO_UDP;
  Bytes payload;
};

Bytes pseudo(const Draft& draft, uint8_t protocol, size_t length) {
  return draft.source + draft.destination + be32(static_cast<uint32_t>(length)) + be32(protocol);
}

/// Puts the checksum of a message with the pseudo-header where it belongs.
void sum_with_pseudo(const Draft& draft, uint8_t protocol, Bytes& message, size_t at) {
  put16(message, at, 0);
  const uint16_t sum = checksum(pseudo(draft, protocol, message.size()) + message);
  put16(message, at, sum == 0 && protocol == IPPROTO_UDP ? 0xffff : sum);
}

const Bytes& address(Source& source, const Plan& plan, bool v6) {
  const auto& all = v6 ? plan.addresses6 : plan.addresses4;
  return all[source.below(static_cast<uint32_t>(all.size()))];
}

uint16_t port(Source& source, const Plan& plan) {
  return plan.ports[source.below(static_cast<uint32_t>(plan.ports.size()))];
}

/// Mostly short; now and then up to more than an MTU holds.
Bytes payload(Source& source) {
  size_t length = source.byte() % 64;
  if (source.rarely(8)) length = source.word() % 1700;
  Bytes bytes = source.bytes(std::min<size_t>(length, 24));
  bytes.resize(length, 0x5a);
  return bytes;
}

Bytes tcp(Source& source, const Plan& plan, const Draft& draft) {
  static constexpr uint8_t kFlags[] = {0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00, 0xff, 0x90};
  Bytes options = source.rarely(4) ? source.bytes(source.below(11) * 4) : Bytes{};
  if (source.rarely(8)) options = Bytes{2, 4, 0x05, 0xb4};
  Bytes segment = be16(port(source, plan)) + be16(port(source, plan)) + be32(source.byte()) + be32(source.byte()) +
                  Bytes{static_cast<uint8_t>((5 + options.size() / 4) << 4), kFlags[source.below(10)]} +
                  be16(source.word()) + be32(0) + options + payload(source);
  sum_with_pseudo(draft, IPPROTO_TCP, segment, 16);
  return segment;
}

Bytes udp_datagram(const Draft& draft, uint16_t from, uint16_t to, const Bytes& data) {
  Bytes datagram = be16(from) + be16(to) + be16(8 + data.size()) + be16(0) + data;
  sum_with_pseudo(draft, IPPROTO_UDP, datagram, 6);
  return datagram;
}

Bytes sctp(Source& source, const Plan& plan) {
  return be16(port(source, plan)) + be16(port(source, plan)) + be32(source.byte()) + be32(0) +
         Bytes{source.byte(), source.byte()} + be16(source.byte()) + payload(source);
}

/// An echo, or an error about a packet of the plan's.
Bytes icmp4(Source& source, const Plan& plan, int depth) {
  static constexpr uint8_t kErrors[] = {3, 4, 5, 11, 12};
  Bytes message;
  if (depth > 0 && source.rarely(2)) {
    bool fragment = false;
    Bytes quoted = packet(source, plan, 0, fragment);
    quoted.resize(std::min<size_t>(quoted.size(), source.rarely(4) ? source.byte() : 548));
    message = Bytes{kErrors[source.below(5)], static_cast<uint8_t>(source.below(16)), 0, 0} +
              be32(source.rarely(2) ? source.word() : 0) + quoted;
  } else {
    message = Bytes{static_cast<uint8_t>(source.rarely(4) ? source.byte() : source.below(2) * 8), 0, 0, 0} +
              be32(source.byte()) + payload(source);
  }
  put16(message, 2, checksum(message));
  return message;
}

/// Neighbour discovery with one option, mostly a link-layer address.
Bytes discovery(Source& source, const Plan& plan, uint8_t type) {
  Bytes message = Bytes{type, 0, 0, 0} + be32(source.byte() << 24);
  if (type == 135 || type == 136) message = message + address(source, plan, true);
  const auto kind = static_cast<uint8_t>(source.rarely(4) ? source.byte() : 1 + source.below(2));
  const auto units = static_cast<uint8_t>(source.rarely(4) ? source.byte() : 1);
  return message + Bytes{kind, units} + source.bytes(6);
}

Bytes icmp6(Source& source, const Plan& plan, Draft& draft, int depth) {
  Bytes message;
  if (source.rarely(3)) {
    message = discovery(source, plan, static_cast<uint8_t>(133 + source.below(5)));
  } else if (depth > 0 && source.rarely(2)) {
    bool fragment = false;
    Bytes quoted = packet(source, plan, 0, fragment);
    quoted.resize(std::min<size_t>(quoted.size(), source.rarely(4) ? source.byte() : 1232));
    message = Bytes{static_cast<uint8_t>(1 + source.below(4)), static_cast<uint8_t>(source.below(8)), 0, 0} +
              be32(source.rarely(2) ? source.word() : 0) + quoted;
  } else {
    message = Bytes{static_cast<uint8_t>(source.rarely(4) ? source.byte() : 128 + source.below(2)), 0, 0, 0} +
              be32(source.byte()) + payload(source);
  }
  sum_with_pseudo(draft, IPPROTO_ICMPV6, message, 2);
  return message;
}

/// Protocols that nobody looks into.
constexpr uint8_t kOthers[] = {IPPROTO_NONE, IPPROTO_GRE, IPPROTO_ESP, 89, 253};

/// What the IP header carries.
void fill(Source& source, const Plan& plan, Draft& draft, int depth) {
  switch (source.below(depth > 0 ? 9 : 6)) {
    case 1:
      draft.protocol = IPPROTO_TCP;
      draft.payload = tcp(source, plan, draft);
      return;
    case 2:
      draft.protocol = draft.v6 ? static_cast<uint8_t>(IPPROTO_ICMPV6) : static_cast<uint8_t>(IPPROTO_ICMP);
      draft.payload = draft.v6 ? icmp6(source, plan, draft, depth) : icmp4(source, plan, depth);
      return;
    case 3:
      draft.protocol = IPPROTO_SCTP;
      draft.payload = sctp(source, plan);
      return;
    case 4:
      draft.protocol = kOthers[source.below(5)];
      draft.payload = payload(source);
      return;
    case 6: {
      bool fragment = false;
      const Bytes inner = packet(source, plan, depth - 1, fragment);
      draft.protocol = inner[0] >> 4 == 6 ? 41 : 4;
      draft.payload = inner;
      return;
    }
    case 7:
    case 8: {
      bool fragment = false;
      const Bytes inner = packet(source, plan, depth - 1, fragment);
      const Bytes vxlan = Bytes{static_cast<uint8_t>(source.rarely(8) ? source.byte() : 8), 0, 0, 0} +
                          be32((source.rarely(8) ? source.word() : plan.vni) << 8) + plan.mac +
                          Bytes{2, 0, 0, 0, 0, source.byte()} +
                          (inner[0] >> 4 == 6 ? Bytes{0x86, 0xdd} : Bytes{0x08, 0x00});
      draft.payload = udp_datagram(draft, source.word(), 4789, vxlan + inner);
      return;
    }
    default:
      draft.payload = udp_datagram(draft, port(source, plan), port(source, plan), payload(source));
  }
}

Bytes ip4(Source& source, const Draft& draft, bool& fragment) {
  const Bytes options = source.rarely(8) ? source.bytes((1 + source.below(10)) * 4) : Bytes{};
  uint16_t bits = source.rarely(2) ? 0x4000 : 0;
  Bytes part = draft.payload;
  if (source.rarely(4)) {
    // A piece of it, as its neighbours may be too: equal ids and sizes meet.
    const size_t unit = (1 + source.below(6)) * 8, from = std::min(part.size(), source.below(8) * unit);
    const size_t to = std::min(part.size(), from + unit);
    bits = static_cast<uint16_t>(from / 8 | (to < part.size() ? 0x2000 : 0));
    part = Bytes(part.begin() + static_cast<long>(from), part.begin() + static_cast<long>(to));
    fragment = true;
  }
  Bytes header = Bytes{static_cast<uint8_t>(0x45 + options.size() / 4), source.byte()} +
                 be16(20 + options.size() + part.size()) + be16(source.below(4)) + be16(bits) +
                 Bytes{static_cast<uint8_t>(source.rarely(8) ? source.below(3) : 64), draft.protocol, 0, 0} +
                 draft.source + draft.destination + options;
  put16(header, 10, checksum(header));
  return header + part;
}

/// One extension header before `next`; its own number is put into `next`.
Bytes extension(Source& source, const Plan& plan, uint8_t& next) {
  static constexpr uint8_t kKinds[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_AH, 135};
  const uint8_t kind = kKinds[source.below(5)], after = next;
  next = kind;
  if (kind == IPPROTO_ROUTING) {
    const auto segments = static_cast<uint8_t>(1 + source.below(3));
    Bytes header = {after,
                    static_cast<uint8_t>(segments * 2),
                    static_cast<uint8_t>(source.rarely(8) ? source.byte() : 4),
                    static_cast<uint8_t>(source.below(segments)),
                    static_cast<uint8_t>(segments - 1),
                    0,
                    0,
                    0};
    for (uint8_t i = 0; i < segments; i++) header = header + address(source, plan, true);
    return header;
  }
  const auto units = static_cast<uint8_t>(source.below(3));
  if (kind == IPPROTO_AH) return Bytes{after, static_cast<uint8_t>(units + 2)} + source.bytes(units * 4 + 14u);
  Bytes header = {after, units, 1, static_cast<uint8_t>(units * 8 + 4)};  // one PadN over all of it
  header.resize(units * 8 + 8u);
  if (source.rarely(4)) header[2] = source.byte();
  return header;
}

Bytes ip6(Source& source, const Plan& plan, const Draft& draft, bool& fragment) {
  uint8_t next = draft.protocol;
  Bytes body = draft.payload;
  if (source.rarely(4)) {
    const size_t unit = (1 + source.below(6)) * 8, from = std::min(body.size(), source.below(8) * unit);
    const size_t to = std::min(body.size(), from + unit);
    const size_t bits = (from & ~size_t{7}) | (to < body.size() ? 1 : 0);
    body = Bytes{next, 0} + be16(bits) + be32(source.below(4)) +
           Bytes(body.begin() + static_cast<long>(from), body.begin() + static_cast<long>(to));
    next = IPPROTO_FRAGMENT;
    fragment = true;
  }
  for (int i = 0; i < 4 && source.rarely(4); i++) body = extension(source, plan, next) + body;
  return Bytes{0x60, 0, 0, source.byte()} + be16(body.size()) +
         Bytes{next, static_cast<uint8_t>(source.rarely(8) ? source.below(3) : 64 + source.below(2) * 191)} +
         draft.source + draft.destination + body;
}

Bytes arp(Source& source, const Plan& plan) {
  return Bytes{0, 1, 8, 0, 6, 4, 0, static_cast<uint8_t>(1 + source.below(2))} + Bytes{2, 0, 0, 0, 0, source.byte()} +
         address(source, plan, false) + plan.mac + address(source, plan, false);
}

/// Cuts it, pads it, or changes some bytes.
void spoil(Source& source, Frame& frame) {
  switch (source.below(4)) {
    case 0:
      return;
    case 1:
      frame.bytes.resize(source.word() % (frame.bytes.size() + 1));
      break;
    case 2:
      frame.bytes.resize(frame.bytes.size() + source.below(64));
      return;  // padding spoils nothing
    default:
      for (uint32_t i = 1 + source.below(4); i > 0 && !frame.bytes.empty(); i--) {
        frame.bytes[source.word() % frame.bytes.size()] = source.byte();
      }
  }
  frame.intact = false;
}

}  // namespace

Bytes packet(Source& source, const Plan& plan, int depth, bool& fragment) {
  Draft draft;
  draft.v6 = source.below(2) == 1;
  draft.source = address(source, plan, draft.v6);
  draft.destination = address(source, plan, draft.v6);
  fill(source, plan, draft, depth);
  return draft.v6 ? ip6(source, plan, draft, fragment) : ip4(source, draft, fragment);
}

Frame frame(Source& source, const Plan& plan) {
  Frame made;
  made.bytes = source.rarely(8) ? source.bytes(6) : plan.mac;
  made.bytes = made.bytes + Bytes{2, 0, 0, 0, 0, source.byte()};
  for (uint32_t tags = source.rarely(8) ? source.below(4) : 0; tags > 0; tags--) {
    made.bytes = made.bytes + (source.below(2) == 0 ? Bytes{0x81, 0x00} : Bytes{0x88, 0xa8}) + be16(source.byte());
  }
  if (source.rarely(16)) {
    made.bytes = made.bytes + Bytes{0x08, 0x06} + arp(source, plan);
  } else {
    const Bytes ip = packet(source, plan, 2, made.fragment);
    made.bytes = made.bytes + (ip[0] >> 4 == 6 ? Bytes{0x86, 0xdd} : Bytes{0x08, 0x00}) + ip;
  }
  if (source.rarely(4)) spoil(source, made);
  return made;
}

}  // namespace sluice::fuzz
