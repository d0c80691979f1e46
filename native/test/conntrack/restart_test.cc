// The flow file over restarts, and plugins' slots.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "conntrack/network.h"

namespace sluice {
namespace {

using namespace testing;
using abi::CtState;

constexpr auto orig = abi::CtDirection::ORIGINAL, reply = abi::CtDirection::REPLY;
constexpr uint8_t SYN = 2, ACK = 16;

class TemporaryFile {
 public:
  TemporaryFile() { std::remove(path.c_str()); }
  ~TemporaryFile() { std::remove(path.c_str()); }
  const std::string path = "/dev/shm/sluice-flow-table-test-" + std::to_string(getpid());
};

FlowTableConfig in_file(const TemporaryFile& file) {
  FlowTableConfig config = Network::with_room_for(64);
  config.file = file.path;
  return config;
}

Seen establish(Network& network, int family) {
  network.send(tcp(family, ends(family, orig), SYN));
  network.send(tcp(family, ends(family, reply), SYN | ACK));
  return network.send(tcp(family, ends(family, orig), ACK));
}

TEST(Restart, FindsItsSessionsAndTheirSlotsAgain) {
  TemporaryFile file;
  Network network(in_file(file));
  EXPECT_EQ(network.table->reset_reason(), "");
  ASSERT_TRUE(network.table->keep_slot_registry("nat has 16 bytes"));
  EXPECT_FALSE(network.table->keep_slot_registry(std::string(2048, 'x')));
  const Seen sessions[] = {establish(network, 4), establish(network, 6)};
  for (const Seen& seen : sessions) {
    memset(network.table->slots(seen.flow - 1), 0xab, 16);
    network.table->slot_marks(seen.flow - 1).schemas[0] = 3;
  }

  network.advance(30);
  network.restart();
  EXPECT_EQ(network.table->restored(), 2u);
  EXPECT_EQ(network.table->live(), 2u);
  EXPECT_EQ(network.table->slot_registry(), "nat has 16 bytes");
  for (const int family : {4, 6}) {
    const Seen seen = network.send(tcp(family, ends(family, reply), ACK));
    EXPECT_EQ(seen.state, CtState::ESTABLISHED);
    EXPECT_EQ(seen.direction, reply);
    EXPECT_EQ(network.table->slot_marks(seen.flow - 1).schemas[0], 3);
    EXPECT_EQ(network.table->slots(seen.flow - 1)[15], 0xab);
  }
}

TEST(Restart, WhatAKilledProcessWasWritingCountsAsNotWritten) {
  TemporaryFile file;
  Network network(in_file(file));
  const Seen seen = establish(network, 4);
  SlotMarks& marks = network.table->slot_marks(seen.flow - 1);
  for (const size_t slot : {0, 1, 7}) marks.schemas[slot] = 3;
  marks.writes = 1u << 1 | 1u << 7 | 5 * SlotMarks::kOneWrite;
  network.restart();
  EXPECT_EQ(network.table->restored(), 1u);
  const SlotMarks& restored = network.table->slot_marks(seen.flow - 1);
  EXPECT_EQ(restored.schemas[0], 3);
  EXPECT_EQ(restored.schemas[1], 0);
  EXPECT_EQ(restored.schemas[7], 0);
  EXPECT_EQ(restored.writes, 0u) << "nobody waits for it";
}

TEST(Restart, TranslatedRepliesFindTheirFlow) {
  for (const int family : {4, 6}) {
    TemporaryFile file;
    Network network(in_file(file));
    const std::string backend = family == 4 ? "0a000063" : "20010db8000000000000000000000063";
    network.send(udp(family, ends(family, orig)), rewrite_destination(family, backend, 8080));
    network.restart();
    EXPECT_EQ(network.send(udp(family, {backend, ends(family, orig).source, 8080, 1000})).state, CtState::ESTABLISHED);
  }
}

TEST(Restart, DropsWhatExpiredMeanwhile) {
  TemporaryFile file;
  Network network(in_file(file));
  network.send(udp(4, ends(4, orig)));
  establish(network, 6);
  network.advance(31);
  network.restart();
  EXPECT_EQ(network.table->restored(), 1u) << "the TCP connection, not the UDP exchange";
}

TEST(Restart, AFlowThatWasNotConfirmedIsNotKept) {
  TemporaryFile file;
  Network network(in_file(file));
  rte_mbuf* packet = network.context.packet(udp(4, ends(4, orig)));
  PacketMeta& meta = *meta_of(packet);
  meta.family = 4, meta.protocol = kUdp, meta.l4_offset = 20;
  uint16_t count = 1;
  network.table->track_burst(network.context.worker, &packet, count);
  network.restart();  // killed within the burst
  EXPECT_EQ(network.table->restored(), 0u);
  rte_pktmbuf_free(packet);
}

TEST(Restart, NumbersAreNotLostOverManyRestarts) {
  TemporaryFile file;
  Network network(in_file(file));
  for (int round = 0; round < 100; round++) {
    EXPECT_FALSE(network.send(udp(4, {kA4, kB4, static_cast<uint16_t>(round + 1), 53})).dropped);
    network.advance(100);
    network.restart();
    EXPECT_EQ(network.table->live(), 0u);
  }
  for (uint16_t i = 0; i < 64; i++)
    EXPECT_FALSE(network.send(udp(4, {kA4, kB4, static_cast<uint16_t>(i + 1), 99})).dropped);
  EXPECT_EQ(network.table->live(), 64u);
}

void poke(const std::string& path, off_t offset, const std::string& bytes) {
  const int file = open(path.c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(file, bytes.data(), bytes.size(), offset), static_cast<ssize_t>(bytes.size()));
  close(file);
}

TEST(Restart, StartsEmptyWithAReasonWhenTheFileIsOfNoUse) {
  const struct {
    const char* description;
    std::function<void(Network&, const std::string&)> spoil;
    const char* reason;
  } rows[] = {
      {"another magic", [](Network&, const std::string& path) { poke(path, 0, "nonsense"); }, "it is no flow file"},
      {"another version", [](Network&, const std::string& path) { poke(path, 8, "\x7f"); },
       "its layout is version 127, this is 3"},
      {"another slot size", [](Network& network, const std::string&) { network.config.slot_bytes = 128; },
       "it has 64 slot bytes a flow, wanted are 128"},
      {"another number of flows", [](Network& network, const std::string&) { network.config.max_flows = 128; },
       "it has room for 1088 records, wanted are 1152"},
      {"a high-water mark beyond its end",
       [](Network&, const std::string& path) { poke(path, 24, "\xff\xff\xff\x7f"); },
       "its high-water mark is beyond its end"},
      {"another boot", [](Network&, const std::string& path) { poke(path, 32, "01234567"); },
       "it is from before the last boot"},
      {"a cut file", [](Network&, const std::string& path) { ASSERT_EQ(truncate(path.c_str(), 8192), 0); },
       "its size is wrong"},
      {"a file of a few bytes", [](Network&, const std::string& path) { ASSERT_EQ(truncate(path.c_str(), 100), 0); },
       "it is no flow file"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.description);
    TemporaryFile file;
    Network network(in_file(file));
    establish(network, 4);
    network.table.reset();
    row.spoil(network, file.path);
    network.restart();
    EXPECT_EQ(network.table->restored(), 0u);
    EXPECT_EQ(network.table->reset_reason(), row.reason);
    EXPECT_EQ(establish(network, 4).state, CtState::ESTABLISHED) << "and works";
  }
}

TEST(Restart, RecordsThatMakeNoSenseAreLeftOut) {
  TemporaryFile file;
  Network network(in_file(file));
  const Seen first = establish(network, 4);
  establish(network, 6);
  network.table.reset();
  // The first record's state, far out of range.
  poke(file.path, static_cast<off_t>(kFlowFileHeaderSize + (first.flow - 1) * (sizeof(FlowRecord) + 64) + 1), "\xee");
  network.restart();
  EXPECT_EQ(network.table->restored(), 1u);
  EXPECT_EQ(network.table->reset_reason(), "");
}

TEST(Open, RefusesWhatCannotBe) {
  TemporaryFile file;
  Network holder(in_file(file));
  FlowTableConfig missing = in_file(file), few = in_file(file), many = in_file(file);
  missing.file = "/no/such/folder/flows";
  few.max_flows = 1;
  many.max_flows = UINT32_MAX;
  const struct {
    FlowTableConfig config;
    const char* code;
  } rows[] = {{in_file(file), "flow-file-in-use"},
              {missing, "flow-file-failed"},
              {few, "flows-out-of-range"},
              {many, "flows-out-of-range"}};
  for (const auto& row : rows) {
    const auto opened = FlowTable::open(row.config, holder.rcu.get(), 0);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, row.code);
    EXPECT_NE(opened.error().path, "");
  }
}

TEST(Timeouts, AreNamedAndBounded) {
  EXPECT_EQ(make_timeouts({{"udp", 7}}).value()[static_cast<size_t>(FlowState::Udp)], 7u);
  EXPECT_EQ(make_timeouts({}).value(), default_timeouts());
  const auto unknown = make_timeouts({{"upd", 7}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().path, "/conntrack/timeouts/upd");
  EXPECT_NE(unknown.error().message.find("udp_stream"), std::string::npos) << "says what there is";
  EXPECT_EQ(make_timeouts({{"udp", 0}}).error().code, "timeout-out-of-range");
  EXPECT_EQ(make_timeouts({{"none", 5}}).error().code, "unknown-timeout");
}

TEST(Slots, OfANewFlowAreZero) {
  Network network;
  FlowTable& table = *network.table;
  const Seen first = network.send(udp(4, ends(4, orig)));
  table.slot_marks(first.flow - 1).schemas[0] = 1;
  memset(table.slots(first.flow - 1), 0xff, 64);
  network.advance(60);
  network.age();
  for (uint16_t i = 0; i < 100; i++) {
    const Seen next = network.send(udp(4, {kA4, kB4, static_cast<uint16_t>(i + 1), 99}));
    EXPECT_EQ(table.slots(next.flow - 1)[0], 0);
    EXPECT_EQ(table.slot_marks(next.flow - 1).schemas[0], 0);
  }
}

TEST(ForEach, ShowsBothTuplesAndTimes) {
  Network network;
  network.send(udp(4, ends(4, orig)), rewrite_destination(4, "0a000063", 8080));
  network.advance(3);
  network.send(udp(4, ends(4, orig)), rewrite_destination(4, "0a000063", 8080));
  size_t flows = 0;
  network.table->for_each([&](const FlowView& view) {
    flows++;
    EXPECT_EQ(to_hex(view.original.destination.data(), 4), kB4);
    EXPECT_EQ(to_hex(view.reply.source.data(), 4), "0a000063");
    EXPECT_EQ(view.reply.source_port, __builtin_bswap16(8080));
    EXPECT_EQ(view.created + 3, view.last_seen);
    EXPECT_EQ(view.timeout, 30u);
    EXPECT_TRUE(view.confirmed);
    EXPECT_FALSE(view.seen_reply);
    EXPECT_EQ(network.table->find(view.original), view.number);
    EXPECT_EQ(network.table->find(view.reply), view.number);
  });
  EXPECT_EQ(flows, 1u);
}

}  // namespace
}  // namespace sluice
