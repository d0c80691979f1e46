#include "fixtures.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "testing/eal.h"

namespace sluice::testing {

Outcome run(const std::string& command, int seconds) {
  Outcome outcome;
  const std::string bounded = "exec timeout -k 1 " + std::to_string(seconds) + " sh -c '" + command + "' 2>&1";
  FILE* pipe = popen(bounded.c_str(), "re");
  if (pipe == nullptr) return {-1, "popen failed"};
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, count);
  outcome.status = WEXITSTATUS(pclose(pipe));
  return outcome;
}

Namespace::Namespace(const std::string& name) : name_(name + std::to_string(getpid())) {
  const Outcome made = testing::run("ip netns add " + name_ + " && ip -n " + name_ + " link set lo up");
  EXPECT_EQ(made.status, 0) << made.output;
}

Namespace::~Namespace() {
  const Outcome gone = testing::run("ip netns del " + name_);
  EXPECT_EQ(gone.status, 0) << gone.output;
}

Outcome Namespace::run(const std::string& command, int seconds) const {
  return testing::run("ip netns exec " + name_ + " " + command, seconds);
}

Inside::Inside(const Namespace& space) : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  const int fd = ::open(space.path().c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(setns(fd, CLONE_NEWNET), 0) << strerror(errno);
  close(fd);
}

Inside::~Inside() {
  EXPECT_EQ(setns(before_, CLONE_NEWNET), 0) << strerror(errno);
  close(before_);
}

Background::Background(const std::string& command) {
  pid_ = fork();
  if (pid_ != 0) return;
  setpgid(0, 0);
  execl("/bin/sh", "sh", "-c", ("exec " + command + " >/dev/null 2>&1").c_str(), nullptr);
  _exit(127);
}

Background::~Background() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

namespace {
/// EAL ties the main thread, and so every program and thread that it starts, to one CPU.
void use_all_cpus() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) CPU_SET(cpu, &all);
  EXPECT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}
}  // namespace

BufferPools pools() {
  static const BufferPools made = [] {
    eal();
    use_all_cpus();
    auto result = make_buffer_pools("port-test", 16384, 512);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.value();
  }();
  return made;
}

IpPrefix prefix(const std::string& text) {
  IpPrefix parsed;
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  parsed.address.family = address.find(':') == std::string::npos ? 4 : 6;
  EXPECT_EQ(inet_pton(parsed.address.family == 4 ? AF_INET : AF_INET6, address.c_str(), parsed.address.bytes.data()),
            1);
  parsed.length = static_cast<uint8_t>(std::stoi(text.substr(slash + 1)));
  return parsed;
}

rte_ether_addr mac(const std::string& text) {
  rte_ether_addr address;
  EXPECT_EQ(rte_ether_unformat_addr(text.c_str(), &address), 0) << text;
  return address;
}

std::unique_ptr<Port> open(const PortConfig& config, PortId id) {
  auto port = open_port(config, id, pools(), 1);
  EXPECT_TRUE(port.ok()) << port.error().path << ": " << port.error().message;
  return port.ok() ? std::move(port.value()) : nullptr;
}

namespace {
void rewrite(rte_mbuf* frame, const Port& from, const Port& to) {
  auto* ether = rte_pktmbuf_mtod(frame, rte_ether_hdr*);
  ether->src_addr = to.mac;
  ether->dst_addr = rte_is_zero_ether_addr(&to.peer_mac) ? from.mac : to.peer_mac;
  const auto* l3 = reinterpret_cast<const uint8_t*>(ether + 1);
  PacketMeta& meta = *meta_of(frame);
  meta.l2_length = sizeof *ether;
  meta.l4_offset = l3[0] >> 4 == 4 ? (l3[0] & 15) * 4 : 40;
  meta.protocol = l3[0] >> 4 == 4 ? l3[9] : l3[6];
}
}  // namespace

Wire::Wire(Port& left, Port& right) {
  thread_ = std::thread([this, &left, &right] {
    rte_thread_register();
    while (!stop_) {
      carry(left, right);
      carry(right, left);
    }
    rte_thread_unregister();
  });
}

Wire::~Wire() {
  stop_ = true;
  thread_.join();
}

void Wire::carry(Port& from, Port& to) {
  rte_mbuf* frames[kMaxBurst];
  const uint16_t received = from.receive(0, frames, kMaxBurst);
  if (received == 0) return;
  for (uint16_t i = 0; i < received; i++) rewrite(frames[i], from, to);
  const uint16_t sent = to.transmit(0, frames, received);
  for (uint16_t i = sent; i < received; i++) rte_pktmbuf_free(frames[i]);
}

}  // namespace sluice::testing
