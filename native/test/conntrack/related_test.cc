// ICMP errors, and flows whose packets a stage rewrites on the way.
#include <gtest/gtest.h>

#include "conntrack/network.h"
#include "parse/parse.h"

namespace sluice {
namespace {

using namespace testing;
using abi::CtState;

constexpr auto orig = abi::CtDirection::ORIGINAL, reply = abi::CtDirection::REPLY;

struct Addresses {
  std::string client, service, backend, node, router;
};

Addresses addresses(int family) {
  if (family == 4) return {kA4, "0a600001", kB4, "c0a80001", "0a0000fe"};
  const std::string prefix = "20010db80000000000000000000000";
  return {kA6, prefix + "60", kB6, prefix + "70", prefix + "fe"};
}

TEST(Related, ErrorsFindTheFlowThatTheyQuote) {
  for (const int family : {4, 6}) {
    const Endpoints forward = ends(family, orig), backward = ends(family, reply);
    const struct {
      const char* description;
      Bytes opening, quoted_forward, quoted_backward;
    } rows[] = {
        {"UDP", udp(family, forward), udp(family, forward), udp(family, backward)},
        {"TCP", tcp(family, forward, 2), tcp(family, forward, 2), tcp(family, backward, 18)},
        {"SCTP", sctp(family, forward, 1), sctp(family, forward, 1), sctp(family, backward, 2)},
        {"echo", echo(family, forward, false, 9), echo(family, forward, false, 9), echo(family, backward, true, 9)},
    };
    for (const auto& row : rows) {
      SCOPED_TRACE(std::string(row.description) + ", IPv" + std::to_string(family));
      Network network;
      const Seen flow = network.send(row.opening);
      ASSERT_EQ(flow.state, CtState::NEW);

      const Seen to_client =
          network.send(icmp_error(family, addresses(family).router, forward.source, row.quoted_forward));
      EXPECT_EQ(to_client.state, CtState::RELATED);
      EXPECT_EQ(to_client.flow, flow.flow);
      EXPECT_EQ(to_client.direction, reply) << "travels against the packet that it quotes";

      const Seen to_server =
          network.send(icmp_error(family, addresses(family).router, forward.destination, row.quoted_backward));
      EXPECT_EQ(to_server.state, CtState::RELATED);
      EXPECT_EQ(to_server.flow, flow.flow);
      EXPECT_EQ(to_server.direction, orig);
    }
  }
}

TEST(Related, ErrorsOfNoFlowAreInvalidAndBeginNone) {
  for (const int family : {4, 6}) {
    Network network;
    const Bytes quoted = udp(family, ends(family, orig));
    EXPECT_EQ(network.send(icmp_error(family, addresses(family).router, ends(family, orig).source, quoted)).state,
              CtState::INVALID);
    EXPECT_EQ(network.send(icmp_error(family, addresses(family).router, ends(family, orig).source, {})).state,
              CtState::INVALID)
        << "quotes nothing";
    EXPECT_EQ(network.table->live(), 0u);
    EXPECT_EQ(network.table->counters().invalid, 2u);
  }
}

TEST(Related, ErrorsChangeNeitherStateNorAge) {
  Network network;
  const Seen flow = network.send(udp(4, ends(4, orig)));
  network.advance(29);
  network.send(icmp_error(4, "0a0000fe", kA4, udp(4, ends(4, orig))));
  network.advance(2);
  EXPECT_EQ(network.age(), 1u) << "30 s after its last own packet";
  EXPECT_EQ(network.state_of(flow.flow - 1), FlowState::None);
}

// A service: the client talks to `service`, a stage sends it to `backend` and hides the client behind `node`.
TEST(Nat, RepliesToTheRewrittenTupleFindTheFlow) {
  for (const int family : {4, 6}) {
    SCOPED_TRACE(family);
    const Addresses at = addresses(family);
    Network network;
    const auto translate = [&](rte_mbuf* packet) {
      rewrite_destination(family, at.backend, 8080)(packet);
      rewrite_source(family, at.node, 40000)(packet);
    };
    const Seen request = network.send(udp(family, {at.client, at.service, 1000, 80}), translate);
    EXPECT_EQ(request.state, CtState::NEW);

    const Seen answer = network.send(udp(family, {at.backend, at.node, 8080, 40000}));
    EXPECT_EQ(answer.state, CtState::ESTABLISHED);
    EXPECT_EQ(answer.flow, request.flow);
    EXPECT_EQ(answer.direction, reply);

    const Seen again = network.send(udp(family, {at.client, at.service, 1000, 80}), translate);
    EXPECT_EQ(again.flow, request.flow);
    EXPECT_EQ(again.state, CtState::ESTABLISHED);

    EXPECT_EQ(network.send(udp(family, {at.service, at.client, 80, 1000})).state, CtState::NEW)
        << "the untranslated inverse is another flow";
  }
}

TEST(Nat, ErrorsAboutTranslatedPacketsFindTheFlowFromBothSides) {
  for (const int family : {4, 6}) {
    SCOPED_TRACE(family);
    const Addresses at = addresses(family);
    Network network;
    const Seen request =
        network.send(udp(family, {at.client, at.service, 1000, 80}), rewrite_destination(family, at.backend, 8080));

    const Bytes as_backend_saw_it = udp(family, {at.client, at.backend, 1000, 8080});
    const Seen from_backend = network.send(icmp_error(family, at.backend, at.client, as_backend_saw_it));
    EXPECT_EQ(from_backend.state, CtState::RELATED);
    EXPECT_EQ(from_backend.flow, request.flow);
    EXPECT_EQ(from_backend.direction, reply);

    const Bytes as_client_saw_it = udp(family, {at.service, at.client, 80, 1000});
    const Seen from_client = network.send(icmp_error(family, at.client, at.service, as_client_saw_it));
    EXPECT_EQ(from_client.state, CtState::RELATED);
    EXPECT_EQ(from_client.flow, request.flow);
    EXPECT_EQ(from_client.direction, orig);
  }
}

TEST(Nat, ATakenReplyTupleDropsTheNewFlowOnly) {
  for (const int family : {4, 6}) {
    SCOPED_TRACE(family);
    const Addresses at = addresses(family);
    Network network;
    const auto hide = rewrite_source(family, at.node, 40000);
    const Seen first = network.send(udp(family, {at.client, at.backend, 1000, 53}), hide);
    const Bytes second = udp(family, {at.client, at.backend, 1001, 53});
    for (const Seen& seen : network.burst({second, second}, hide)) EXPECT_TRUE(seen.dropped);
    EXPECT_EQ(network.context.drops(abi::DropReason::ReplyTupleClash), 2u);
    EXPECT_EQ(network.table->live(), 1u);

    EXPECT_EQ(network.send(udp(family, {at.backend, at.node, 53, 40000})).flow, first.flow);
    EXPECT_FALSE(network.send(second, rewrite_source(family, at.node, 40001)).dropped) << "another port is free";
  }
}

TEST(Nat, ASourceIsTakenWhileAFlowHasItsReplies) {
  for (const int family : {4, 6}) {
    SCOPED_TRACE(family);
    const Addresses at = addresses(family);
    Network network;
    const Bytes node = from_hex(at.node);
    const auto as_node = [&](rte_mbuf* packet) {
      memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t*, family == 4 ? 12 : 8), node.data(), node.size());
    };
    const auto taken_for = [&](const Bytes& packet, uint16_t port, bool reframed = false) {
      bool taken = false;
      network.send_dropped(packet, [&](rte_mbuf* seen) {
        meta_of(seen)->reframed = reframed;
        taken = network.table->source_taken(seen, make_source(static_cast<uint8_t>(family), node.data(), port));
      });
      return taken;
    };
    const Bytes late = udp(family, {at.client, at.backend, 1001, 53});
    EXPECT_FALSE(taken_for(late, 40000)) << "no flow has it";
    network.send(udp(family, {at.client, at.backend, 1000, 53}), rewrite_source(family, at.node, 40000));
    network.send(echo(family, {at.client, at.backend}, false, 4000), as_node);
    const struct {
      const char* description;
      Bytes packet;
      uint16_t port;
      bool taken;
    } rows[] = {
        {"its port, to the same server", late, 40000, true},
        {"another port", late, 40001, false},
        {"its port, to another port of the server", udp(family, {at.client, at.backend, 1001, 54}), 40000, false},
        {"its port, to another server", udp(family, {at.client, at.service, 1001, 53}), 40000, false},
        {"its port, of another protocol", tcp(family, {at.client, at.backend, 1001, 53}, 2), 40000, false},
        {"the flow's own next packet", udp(family, {at.client, at.backend, 1000, 53}), 40000, false},
        {"a reply", udp(family, {at.backend, at.node, 53, 40000}), 40000, false},
        {"its identifier", echo(family, {at.client, at.backend}, false, 8), 4000, true},
        {"another identifier", echo(family, {at.client, at.backend}, false, 8), 4001, false},
        {"an error about it", icmp_error(family, at.router, at.node, udp(family, {at.node, at.backend, 40000, 53})),
         40000, false},
    };
    for (const auto& row : rows) EXPECT_EQ(taken_for(row.packet, row.port), row.taken) << row.description;
    EXPECT_FALSE(taken_for(late, 40000, true)) << "behind a header that was pushed";
    network.advance(3600);
    network.age();
    EXPECT_FALSE(taken_for(late, 40000)) << "its flow is over";
  }
}

TEST(Nat, ASourceIsNotTakenByTheOtherEndThatBeganAtOnce) {
  Network network;
  const Addresses at = addresses(4);
  const Bytes there = udp(4, {at.client, at.backend, 1000, 53}), back = udp(4, {at.backend, at.client, 53, 1000});
  network.burst({there, back}, [&](rte_mbuf* packet) {
    const auto* const source = rte_pktmbuf_mtod_offset(packet, const uint8_t*, 12);
    const bool is_first = from_hex(at.client) == Bytes(source, source + 4);
    EXPECT_FALSE(network.table->source_taken(packet, make_source(4, source, is_first ? 1000 : 53)));
  });
}

TEST(Nat, APushKeepsTheTupleFrozenBeforeIt) {
  for (const int family : {4, 6}) {
    Network network;
    const Addresses at = addresses(family);
    const Seen request = network.send(udp(family, {at.client, at.service, 1000, 80}), [&](rte_mbuf* packet) {
      rewrite_destination(family, at.backend, 8080)(packet);
      freeze_reply_tuple(packet);
      meta_of(packet)->reframed = 1;
      memset(rte_pktmbuf_mtod(packet, void*), 0xee, 40);  // a header that conntrack must not read
    });
    const Seen answer = network.send(udp(family, {at.backend, at.client, 8080, 1000}));
    EXPECT_EQ(answer.flow, request.flow);
    EXPECT_EQ(answer.direction, reply);
  }
}

TEST(Confirm, AFlowToItselfHasOneKey) {
  Network network;
  const Endpoints self = {kA4, kA4, 5000, 5000};
  const Seen first = network.send(udp(4, self));
  EXPECT_FALSE(first.dropped);
  EXPECT_EQ(network.send(udp(4, self)).flow, first.flow);
  network.advance(60);
  EXPECT_EQ(network.age(), 1u);
  EXPECT_EQ(network.send(udp(4, self)).state, CtState::NEW);
}

TEST(Confirm, BothEndsAtOnceLeaveOneFlowAndLoseNoPacket) {
  for (const int family : {4, 6}) {
    Network network;
    const auto seen = network.burst({udp(family, ends(family, orig)), udp(family, ends(family, reply))});
    EXPECT_FALSE(seen[0].dropped);
    EXPECT_FALSE(seen[1].dropped);
    EXPECT_EQ(network.table->live(), 1u);
    const Seen there = network.send(udp(family, ends(family, orig))),
               back = network.send(udp(family, ends(family, reply)));
    EXPECT_EQ(there.flow, back.flow);
    EXPECT_NE(there.direction, back.direction);
  }
}

TEST(ReplyTuple, IsRenewedWhenAStageTranslatesAFlowToAnotherPlace) {
  for (const int family : {4, 6}) {
    Network network;
    const Endpoints flow = ends(family, abi::CtDirection::ORIGINAL);
    const std::string prefix = family == 4 ? "0a0000" : "20010db80000000000000000000000";
    const auto translated_to = [&](const std::string& backend) {
      return [=](rte_mbuf* packet) {
        rewrite_destination(family, prefix + backend, 8080)(packet);
        meta_of(packet)->confirmed = 0;  // as the stage's flag REPLY_CHANGED does
      };
    };
    const auto answer_from = [&](const std::string& backend) {
      return udp(family, {prefix + backend, flow.source, 8080, flow.source_port});
    };
    const Seen first = network.send(udp(family, flow), translated_to("63"));
    const Seen moved = network.send(udp(family, flow), translated_to("64"));
    EXPECT_EQ(moved.flow, first.flow);
    EXPECT_EQ(network.send(answer_from("64")).flow, first.flow);
    EXPECT_NE(network.send(answer_from("63")).flow, first.flow) << "the old place is no party to it any more";
  }
}

}  // namespace
}  // namespace sluice
