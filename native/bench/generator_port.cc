#include "generator_port.h"

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "core/clock.h"
#include "core/worker_context.h"
#include "measure.h"

namespace sluice::bench {

namespace {
// When a packet was due, TSC; 0: nobody wants to know. In a field that DPDK keeps for such things.
void set_stamp(rte_mbuf* frame, uint64_t due) {
  std::memcpy(frame->dynfield1, &due, sizeof due);
}
uint64_t stamp_of(const rte_mbuf* frame) {
  uint64_t due;
  std::memcpy(&due, frame->dynfield1, sizeof due);
  return due;
}
}  // namespace

void GeneratorPort::load(std::vector<Frame> frames) {
  frames_ = std::move(frames);
  next_ = 0;
}

void GeneratorPort::keep(size_t count) {
  kept_.clear();
  kept_.reserve(count);
  to_keep_ = count;
}

/// The thread's CPU time is the gap as long as it only lost its CPU to others. When it waited for something itself (a
/// lock, a page from a file), it is all of the time.
void GeneratorPort::note_gap() {
  const uint64_t now = read_clock(CLOCK_MONOTONIC), cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  if (last_poll_ != 0) {
    const uint64_t gap = usage.ru_nvcsw == waits_ ? cpu - last_cpu_ : now - last_poll_;
    uint64_t longest = longest_gap_.load(std::memory_order_relaxed);
    while (gap > longest && !longest_gap_.compare_exchange_weak(longest, gap)) {
    }
  }
  last_poll_ = now;
  last_cpu_ = cpu;
  waits_ = usage.ru_nvcsw;
}

void GeneratorPort::note_part() {
  if (part_left_ != 0) return;
  const uint64_t now = rte_rdtsc_precise();
  const uint64_t node = now - part_begun_ - (spent_ - part_spent_);
  if (left_ < asked_packets_) parts_.push_back(static_cast<double>(node) / kPart);
  part_begun_ = now;
  part_spent_ = spent_;
  part_left_ = kPart;
}

uint16_t GeneratorPort::receive(uint16_t, rte_mbuf** frames, uint16_t count) {
  if (!running_) {
    last_poll_ = 0;  // between two runs the worker sleeps
  } else if (watch_.load(std::memory_order_relaxed)) {
    note_gap();
  }
  if (left_ == 0) {
    if (running_) {
      running_ = false;
      done_.store(true, std::memory_order_release);
      return 0;
    }
    left_ = asked_.exchange(0, std::memory_order_acquire);
    if (left_ == 0) return 0;
    running_ = true;
    asked_packets_ = left_;
    parts_.clear();
    part_left_ = 0;
    due_ = 0;
  }
  note_part();
  const uint64_t start = rte_rdtsc();
  count = make(frames, count);
  spent_ += rte_rdtsc() - start;
  return count;
}

/// A worker that was not here for so many packets at a tenth of its rate had lost its CPU: the schedule begins anew.
uint64_t GeneratorPort::packets_due() {
  constexpr uint64_t kAway = 16;
  const uint64_t now = rte_rdtsc();
  if (due_ == 0 || (now > due_ && now - due_ > kAway * pace_)) due_ = now;
  return now < due_ ? 0 : (now - due_) / pace_ + 1;
}

uint16_t GeneratorPort::make(rte_mbuf** frames, uint16_t count) {
  count = static_cast<uint16_t>(std::min<uint64_t>({count, burst_, left_}));
  if (pace_ != 0) count = static_cast<uint16_t>(std::min<uint64_t>(count, packets_due()));
  if (count == 0 || rte_pktmbuf_alloc_bulk(pool_, frames, count) != 0) return 0;
  for (uint16_t i = 0; i < count; i++) {
    rte_mbuf* frame = frames[i];
    std::memcpy(rte_pktmbuf_mtod(frame, void*), frames_[next_].data(), sizeof(Frame));
    if (++next_ == frames_.size()) next_ = 0;
    frame->data_len = kFrameBytes;
    frame->pkt_len = kFrameBytes;
    set_stamp(frame, pace_ != 0 ? due_ : 0);
    due_ += pace_;
    PacketMeta& meta = *meta_of(frame);
    std::memset(&meta, 0, sizeof meta);
    meta.in_port = id;
  }
  left_ -= count;
  part_left_ -= std::min<uint64_t>(part_left_, count);
  return count;
}

uint16_t GeneratorPort::transmit(uint16_t, rte_mbuf** frames, uint16_t count) {
  const uint64_t start = rte_rdtsc();
  for (uint16_t i = 0; i < count && kept_.size() < to_keep_; i++) {
    kept_.emplace_back();
    std::memcpy(kept_.back().data(), rte_pktmbuf_mtod(frames[i], const void*), kFrameBytes);
  }
  for (uint16_t i = 0; i < count; i++) {
    if (stamp_of(frames[i]) != 0) delays_.push_back(static_cast<uint32_t>(start - stamp_of(frames[i])));
  }
  rte_pktmbuf_free_bulk(frames, count);
  bump(sunk_, count);
  spent_ += rte_rdtsc() - start;
  return count;
}

double GeneratorPort::run(uint64_t packets) {
  done_.store(false);
  asked_.store(packets, std::memory_order_release);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done_.load(std::memory_order_acquire)) {
    if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("the worker took no packets for 60 s");
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return median(parts_);
}

Frame udp_frame(const rte_ether_addr& to, const rte_ether_addr& from, uint32_t source, uint32_t destination,
                uint16_t source_port, uint16_t destination_port) {
  Frame frame{};
  auto* ether = reinterpret_cast<rte_ether_hdr*>(frame.data());
  ether->dst_addr = to;
  ether->src_addr = from;
  ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(ether + 1);
  ip->version_ihl = 0x45;
  ip->total_length = rte_cpu_to_be_16(kFrameBytes - sizeof *ether);
  ip->time_to_live = 64;
  ip->next_proto_id = IPPROTO_UDP;
  ip->src_addr = rte_cpu_to_be_32(source);
  ip->dst_addr = rte_cpu_to_be_32(destination);
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(source_port);
  udp->dst_port = rte_cpu_to_be_16(destination_port);
  udp->dgram_len = rte_cpu_to_be_16(kFrameBytes - sizeof *ether - sizeof *ip);
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
  return frame;
}

Frame answer_to(const Frame& frame, const rte_ether_addr& to) {
  const auto* ether = reinterpret_cast<const rte_ether_hdr*>(frame.data());
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(ether + 1);
  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(ip + 1);
  return udp_frame(to, ether->dst_addr, rte_be_to_cpu_32(ip->dst_addr), rte_be_to_cpu_32(ip->src_addr),
                   rte_be_to_cpu_16(udp->dst_port), rte_be_to_cpu_16(udp->src_port));
}

}  // namespace sluice::bench
