#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "port/port.h"

namespace sluice::bench {

constexpr uint16_t kFrameBytes = 60;  ///< a 64-byte Ethernet frame without its checksum
using Frame = std::array<uint8_t, 64>;

/// A packet generator and a sink: hands out copies of prepared frames in ordinary buffers, a burst at a time, until the
/// number asked for is reached, and frees what leaves by it. What it costs itself is measured on the way and left out.
class GeneratorPort : public Port {
 public:
  /// `spent`: cycles that the ports of one worker spend; shared by them.
  GeneratorPort(rte_mempool* pool, uint64_t& spent) : pool_(pool), spent_(spent) {}

  /// Frames to send, in this order, over and over.
  void load(std::vector<Frame> frames);
  void set_burst(uint16_t burst) { burst_ = burst; }
  /// Lets a packet out each so many cycles from the next run on, and notes how long each takes; 0: as many as fit.
  void pace(uint64_t cycles) { pace_ = cycles; }
  /// Of the packets of paced runs that left by this port: cycles from when each was due to its transmission.
  std::vector<uint32_t> take_delays() { return std::exchange(delays_, {}); }
  /// Keeps the first `count` frames that leave.
  void keep(size_t count);
  std::vector<Frame> take_kept() { return std::move(kept_); }

  /// Starts a run of so many packets on the worker that polls the port, and waits for its end. Cycles a packet from
  /// poll to poll without those of receive() and transmit(), the median over parts of the run: all that the node does.
  double run(uint64_t packets);

  /// Watches how long the worker is kept from its next poll by what it does or waits for itself. Time in which the
  /// machine ran something else on its CPU while it could have gone on does not count: no program is free of that.
  void watch_gaps(bool on) { watch_ = on; }
  /// The longest one since the last call, ns.
  uint64_t take_longest_gap() { return longest_gap_.exchange(0); }

  uint64_t sunk() const { return sunk_.load(std::memory_order_relaxed); }

  uint16_t receive(uint16_t queue, rte_mbuf** frames, uint16_t count) override;
  uint16_t transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) override;
  PortCounters counters() const override { return {}; }

 private:
  /// Packets of which a run's cycles are taken together: other programs' turns on the CPU meet few parts.
  static constexpr uint64_t kPart = 2048;

  void note_gap();
  void note_part();
  uint64_t packets_due();
  uint16_t make(rte_mbuf** frames, uint16_t count);

  rte_mempool* pool_;
  uint64_t& spent_;
  std::vector<Frame> frames_;
  size_t next_ = 0;
  uint16_t burst_ = 32;
  uint64_t left_ = 0, asked_packets_ = 0;
  bool running_ = false;
  uint64_t part_left_ = 0, part_begun_ = 0, part_spent_ = 0;
  std::vector<double> parts_;       ///< cycles a packet of each part of a run
  std::atomic<uint64_t> asked_{0};  ///< set by run(), taken by the worker
  std::atomic<bool> done_{true};
  std::atomic<uint64_t> sunk_{0};
  std::atomic<bool> watch_{false};
  uint64_t last_poll_ = 0, last_cpu_ = 0;  ///< ns: CLOCK_MONOTONIC, CPU time of the worker's thread
  long waits_ = 0;                         ///< times that the thread gave up its CPU by itself
  std::atomic<uint64_t> longest_gap_{0};
  uint64_t pace_ = 0, due_ = 0;  ///< cycles between packets; when the next one is due
  std::vector<uint32_t> delays_;
  std::vector<Frame> kept_;
  size_t to_keep_ = 0;
};

/// A UDP datagram over IPv4 between these ends (host order), checksums set.
Frame udp_frame(const rte_ether_addr& to, const rte_ether_addr& from, uint32_t source, uint32_t destination,
                uint16_t source_port, uint16_t destination_port);
/// The same datagram sent back.
Frame answer_to(const Frame& frame, const rte_ether_addr& to);

}  // namespace sluice::bench
