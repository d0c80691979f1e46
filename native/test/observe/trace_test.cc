// "This packet, this filter: these steps", in whole nodes.
#include "node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: packets read as a table

/// A step in a line, without what differs from run to run.
std::string line_of(const TraceStep& step) {
  std::string line = step.kind;
  if (!step.detail.empty()) line += " " + step.detail;
  if (!step.stage.empty()) line += " " + step.stage;
  if (!step.hook.empty()) line += " at " + step.hook;
  if (!step.verdict.empty()) line += " " + step.verdict;
  if (!step.reason.empty()) line += " " + step.reason;
  for (const auto& rewrite : step.rewrites) {
    line += " [" + std::to_string(rewrite.offset) + ": " + rewrite.before + ">" + rewrite.after + "]";
  }
  for (const auto& value : step.values) line += " " + value.name + "=" + std::to_string(value.value);
  return line;
}

std::vector<std::string> lines_of(const TracedPacket& packet) {
  std::vector<std::string> lines;
  for (const TraceStep& step : packet.steps) lines.push_back(line_of(step));
  return lines;
}

class Tracing : public WatchedNode {
 protected:
  uint32_t start(const std::string& filter, uint32_t packets = 10) {
    const auto id = observation().start_trace(filter, packets);
    EXPECT_TRUE(id.ok()) << id.error().message;
    return id ? id.value() : 0;
  }

  /// Reads until so many packets have come to their ends.
  std::vector<TracedPacket> read(uint32_t id, size_t count) {
    std::vector<TracedPacket> all;
    eventually([&] {
      auto read = observation().read_trace(id);
      EXPECT_TRUE(read.ok());
      EXPECT_EQ(read.value().lost, 0u);
      for (auto& packet : read.value().packets) all.push_back(std::move(packet));
      return all.size() >= count;
    });
    return all;
  }
};

struct Row {
  const char* name;
  const char* filter;
  Bytes frame;
  std::vector<std::string> steps;
  uint16_t flags = 0, gso_size = 0;
};

const char* const kStages[] = {"stage marker at forward pass [1: 00>b8] port=53255", "stage gate at forward pass"};

constexpr auto kSuper = static_cast<uint16_t>(static_cast<uint16_t>(abi::Flag::SUPER_FRAME) |
                                              static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM));

Bytes tcp_header() {
  return be16(1000) + be16(2000) + be32(1) + be32(1) + Bytes{0x50, 0x10} + be16(1000) + be16(0) + be16(0);
}

std::vector<Row> rows() {
  const std::string rx = "rx port a", parse = "parse IPv4, UDP at 20", fresh = "conntrack new, original, flow 0";
  return {
      {"forwarded",
       "udp port 2000",
       frame(udp_to("10.0.1.2")),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 65>66]", kStages[0], kStages[1],
        "route 10.0.1.0/24 by port b", "tx port b to 02:00:00:00:00:B2"}},
      {"by a gateway",
       "dst net 10.3.0.0/16",
       frame(udp_to("10.3.7.7")),
       {rx, parse, fresh, "route 10.3.0.0/16 by port b next hop 10.0.1.2 [8: 40>3f] [10: 5f>60]", kStages[0],
        kStages[1], "route 10.3.0.0/16 by port b next hop 10.0.1.2", "tx port b to 02:00:00:00:00:B2"}},
      {"dropped by a stage for its own reason",
       "udp",
       frame(udp_to("10.0.1.2", 2001)),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 65>66]",
        "stage marker at forward pass [1: 00>b8] port=53511", "stage gate at forward drop", "drop gate not-today"}},
      {"lost by a trap",
       "udp",
       frame(udp_to("10.0.1.2", 2003)),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 65>66]",
        "stage marker at forward pass [1: 00>b8] port=54023", "stage gate at forward drop", "drop gate stage-failed"}},
      {"malformed", "", frame(Bytes{0x45, 0, 0}), {rx, "drop malformed-ipv4"}},
      {"for another station",
       "ether dst 02:00:00:00:00:99",
       ethernet("02:00:00:00:00:99", "02:00:00:00:00:a2", udp_to("10.0.1.2")),
       {rx, "drop not-for-us"}},
      {"out of hops",
       "udp",
       frame(udp_to("10.0.1.2", 2000, {1})),
       {rx, parse, fresh, "originate ICMP error, type 11 code 0", "drop ttl-expired"}},
      {"without a route",
       "udp",
       frame(udp_to("192.0.2.1")),
       {rx, parse, fresh, "originate ICMP error, type 3 code 0", "drop no-route"}},
      {"a ping of the node",
       "icmp",
       frame(icmp("10.0.0.2", "10.0.0.1", Bytes{8, 0, 0, 0, 0, 1, 0, 1})),
       {rx, "parse IPv4, ICMP at 20", fresh, "route local: for the node itself",
        "originate turned into the echo reply [15: 02>01] [19: 0108>0200] [22: f7>ff]",
        "conntrack established, reply, flow 0", "route 10.0.0.0/24 by port a", "tx port a to 02:00:00:00:00:A2"}},
      {"into a tunnel",
       "dst host 10.4.0.9",
       frame(udp_to("10.4.0.9")),
       {rx, parse, fresh, "route 10.4.0.0/16 by port vx to endpoint 10.0.1.9 [8: 40>3f] [10: 66>67]", kStages[0],
        kStages[1], "route 10.4.0.0/16 by port vx to endpoint 10.0.1.9", "encap VXLAN, VNI 100, to 10.0.1.9",
        "tx port b to 02:00:00:00:00:B9 [0: OUTER]"}},
      {"an ARP request",
       "arp",
       arp_frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:a2",
                 arp(1, "02:00:00:00:00:a2", "10.0.0.2", "00:00:00:00:00:00", "10.0.0.1")),
       {rx, "parse ARP", "neighbour ARP, taken in"}},
      {"redirected by a stage",
       "udp",
       frame(udp_to("10.0.1.2", 2006)),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 65>66]",
        "stage marker at forward pass [1: 00>b8] port=54791", "stage gate at forward redirect",
        "tx port b to 02:00:00:00:00:B2"}},
      {"answered by a stage",
       "udp",
       frame(udp_to("10.0.1.2", 2008)),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 65>66]",
        "stage marker at forward pass port=55303", "stage gate at forward reply", "conntrack untracked",
        "route 10.0.1.0/24 by port b", "tx port b to 02:00:00:00:00:B2"}},
      {"a super-frame",
       "tcp",
       frame(ip("10.0.0.2", "10.0.1.2", IPPROTO_TCP, tcp_header() + filler(3000))),

       {rx, "parse IPv4, TCP at 20, a super-frame", fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 5a>5b]",
        kStages[0], kStages[1], "route 10.0.1.0/24 by port b", "segment into 3", "tx port b to 02:00:00:00:00:B2",
        "tx port b to 02:00:00:00:00:B2", "tx port b to 02:00:00:00:00:B2"},
       kSuper,
       1448},
      {"cut into fragments",
       "udp",
       frame(udp_to("10.0.1.2", 2000, {}, 2000)),
       {rx, parse, fresh, "route 10.0.1.0/24 by port b [8: 40>3f] [10: 5d>5e]", kStages[0], kStages[1],
        "route 10.0.1.0/24 by port b", "fragment into 2", "tx port b to 02:00:00:00:00:B2",
        "tx port b to 02:00:00:00:00:B2"}},
  };
}

TEST_F(Tracing, TellsEachPacketsWay) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    TearDown();
    SetUp();
    const uint32_t id = start(row.filter);
    inject("a", row.frame, row.flags, row.gso_size);
    const auto packets = read(id, 1);
    ASSERT_EQ(packets.size(), 1u);
    auto lines = lines_of(packets[0]);
    for (std::string& line : lines) {  // the outer header has an id and a port of the moment
      const size_t outer = line.find("[0: >4500");
      if (outer != std::string::npos && line.size() > outer + 100) line.replace(outer, std::string::npos, "[0: OUTER]");
    }
    EXPECT_EQ(lines, row.steps);
    EXPECT_EQ(packets[0].number, 1u);
    EXPECT_EQ(observation().read_trace(id).value().left, 9u);
  }
}

TEST_F(Tracing, APacketThatAStagePutsInAgainStaysTheSame) {
  const uint32_t id = start("udp");
  inject("a", frame(udp_to("10.0.1.2", 2007)));
  const auto packets = read(id, 1);
  ASSERT_EQ(packets.size(), 1u);
  const auto lines = lines_of(packets[0]);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "stage gate at forward reinput"), 8);
  EXPECT_EQ(lines.back(), "drop tunnel-loop");
}

TEST_F(Tracing, ShowsThePacketAsItCameIn) {
  const uint32_t id = start("udp");
  inject("a", frame(udp_to("10.0.1.2")));
  const auto packets = read(id, 1);
  ASSERT_EQ(packets.size(), 1u);
  const Bytes packet = udp_to("10.0.1.2");
  EXPECT_EQ(packets[0].hex, testing::to_hex(packet.data(), packet.size()));
  EXPECT_EQ(packets[0].length, packet.size());
  EXPECT_EQ(packets[0].summary, "IPv4 10.0.0.2 > 10.0.1.2 protocol 17, 36 bytes");
  EXPECT_GT(packets[0].wall_ns, 1'600'000'000'000'000'000u);
  ASSERT_GE(packets[0].steps.size(), 5u);
  EXPECT_GT(packets[0].steps[4].cycles.value_or(0), 0u);
  for (size_t i = 1; i < packets[0].steps.size(); i++) {
    EXPECT_GE(packets[0].steps[i].after_ns, packets[0].steps[i - 1].after_ns);
  }
}

TEST_F(Tracing, TakesWhatTheFilterMatchesAndNotMoreThanAskedFor) {
  const uint32_t id = start("udp dst port 2000", 2);
  for (const uint16_t port : {2004, 2000, 2005, 2000, 2000}) inject("a", frame(udp_to("10.0.1.2", port)));
  ASSERT_EQ(collect("b", 5).size(), 5u);
  const auto packets = read(id, 2);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[1].number, 2u);
  const auto rest = observation().read_trace(id);
  EXPECT_EQ(rest.value().packets.size(), 0u);
  EXPECT_EQ(rest.value().left, 0u);
  EXPECT_EQ(rest.value().in_work, 0u);
}

TEST_F(Tracing, APacketThatWaitsForItsNeighbourIsInWorkUntilItIsSent) {
  const uint32_t id = start("udp");
  inject("a", frame(udp_to("10.0.1.77")));
  ASSERT_TRUE(eventually([&] { return observation().read_trace(id).value().in_work == 1; }));
  inject("b", arp_frame("02:00:00:00:00:0b", "02:00:00:00:00:77",
                        arp(2, "02:00:00:00:00:77", "10.0.1.77", "02:00:00:00:00:0b", "10.0.1.1")));
  const auto packets = read(id, 1);
  ASSERT_EQ(packets.size(), 1u);
  const auto lines = lines_of(packets[0]);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[7], "neighbour waits for the MAC address of 10.0.1.77 at port b");
  EXPECT_EQ(lines[8], "tx port b to 02:00:00:00:00:77");
}

TEST_F(Tracing, FragmentsBecomeOneOfThem) {
  const uint32_t id = start("ip proto 17");
  const Bytes whole = udp_to("10.0.1.2", 2000, {}, 40);
  const Bytes payload(whole.begin() + 20, whole.end());
  const auto piece = [&](size_t from, size_t to, bool more) {
    IpOptions options;
    options.id = 7;
    options.fragment = static_cast<uint16_t>(from / 8 | (more ? kMf : 0));
    return frame(ip("10.0.0.2", "10.0.1.2", IPPROTO_UDP, Bytes(payload.begin() + from, payload.begin() + to), options));
  };
  inject("a", piece(0, 24, true));
  inject("a", piece(24, 48, false));
  const auto packets = read(id, 2);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(lines_of(packets[1]), (std::vector<std::string>{"rx port a", "parse IPv4, UDP at 0, a fragment",
                                                            "reassembly waits for the other fragments",
                                                            "reassembly joined to the first fragment"}));
  const auto first = lines_of(packets[0]);
  ASSERT_GE(first.size(), 5u);
  EXPECT_EQ(first[3].rfind("reassembly whole, 68 bytes", 0), 0u) << first[3];
  EXPECT_EQ(first.back().rfind("tx port b", 0), 0u) << first.back();
}

TEST_F(Tracing, ADecapsulatedPacketStaysTheSame) {
  const uint32_t id = start("udp port 4789");
  const Bytes inner =
      ethernet("02:53:0a:00:01:01", "02:53:0a:00:01:09",
               ip("10.4.0.9", "10.0.0.2", IPPROTO_UDP, udp_datagram("10.4.0.9", "10.0.0.2", filler(8), 1000, 2000)));
  const Bytes vxlan = Bytes{8, 0, 0, 0, 0, 0, 100, 0} + inner;
  inject("b",
         ethernet("02:00:00:00:00:0b", "02:00:00:00:00:b9",
                  ip("10.0.1.9", "10.0.1.1", IPPROTO_UDP, udp_datagram("10.0.1.9", "10.0.1.1", vxlan, 50000, 4789))));
  const auto packets = read(id, 1);
  ASSERT_EQ(packets.size(), 1u);
  const auto lines = lines_of(packets[0]);
  ASSERT_GE(lines.size(), 5u);
  EXPECT_EQ(lines[1], "parse IPv4, UDP at 20");
  EXPECT_EQ(lines[2].rfind("decap VXLAN, in by port vx [0: 4500", 0), 0u) << lines[2];
  EXPECT_EQ(lines[4], "conntrack new, original, flow 0");
  EXPECT_EQ(lines.back(), "tx port a to 02:00:00:00:00:A2");
}

TEST_F(Tracing, SilenceEndsAPacketThatNobodyTellsOf) {
  TraceRecord begin{}, step{};
  begin.event = TraceRecord::Event::Begin;
  begin.number = 1;
  copy_name(begin.kind, "rx");
  step = begin;
  step.event = TraceRecord::Event::Step;
  step.tsc = 10;
  copy_name(step.kind, "route");
  auto filter = PacketFilter::compile("");
  auto trace = std::make_shared<Trace>(std::move(filter.value()), 1, 0, 0, 1);
  for (const TraceRecord& record : {begin, step}) {
    std::memcpy(trace->ring(0).reserve(sizeof record), &record, sizeof record);
  }
  trace->ring(0).publish();
  TraceReader reader(trace);
  const uint64_t second = rte_get_tsc_hz();
  EXPECT_EQ(reader.read(second).in_work, 1u);
  const TraceRead end = reader.read(6 * second);
  ASSERT_EQ(end.packets.size(), 1u);
  EXPECT_EQ(lines_of(end.packets[0]), (std::vector<std::string>{"rx", "route", "lost nothing more was heard of it"}));
  EXPECT_EQ(end.in_work, 0u);
}

TEST_F(Tracing, SeveralTracesShareNoPacketAndEndByThemselves) {
  const uint32_t first = start("udp port 2000"), second = start("udp");
  inject("a", frame(udp_to("10.0.1.2", 2000)));
  inject("a", frame(udp_to("10.0.1.2", 2004)));
  EXPECT_EQ(read(first, 1).size(), 1u);
  const auto others = read(second, 1);
  ASSERT_EQ(others.size(), 1u);
  ASSERT_TRUE(observation().stop(first).ok());
  EXPECT_EQ(observation().read_trace(first).error().code, "no-such-observation");
  inject("a", frame(udp_to("10.0.1.2", 2000)));
  EXPECT_EQ(read(second, 1).size(), 1u);
  ASSERT_TRUE(observation().stop(second).ok());
  for (const auto& worker : node_->workers()) {
    ASSERT_TRUE(eventually([&] { return worker->context().tracer == nullptr; }));
  }
}

TEST_F(Tracing, WrongOptionsAreRefusedWithWhatIsWrong) {
  const auto refused = [&](const std::string& filter, uint32_t packets) {
    const auto id = observation().start_trace(filter, packets);
    return id ? "started" : id.error().code + " " + id.error().path + " " + id.error().message;
  };
  EXPECT_EQ(refused("udp prot 53", 1).rfind("invalid-filter /filter \"udp prot 53\": ", 0), 0u)
      << refused("udp prot 53", 1);
  EXPECT_EQ(refused("", 0), "invalid-options /packets must be from 1 to 100000");
  EXPECT_EQ(refused(std::string(5000, ' ') + "udp", 1).rfind("invalid-filter /filter must be at most 4096", 0), 0u);
  for (size_t i = 0; i < kMaxTraces; i++) EXPECT_EQ(refused("", 1), "started");
  EXPECT_EQ(refused("", 1), "too-many-observations  4 traces are running, which is all that can; stop one first");
}

}  // namespace
}  // namespace sluice
