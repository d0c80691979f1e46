#pragma once

#include <rte_mbuf.h>
#include <sys/uio.h>

#include "core/buffers.h"
#include "core/packet.h"
#include "port/vnet_header.h"

namespace sluice {

/// Where the kernel puts the next frame: vnet header, a packet buffer for the first bytes, a jumbo buffer for the rest
/// of a super-frame, which stays for the next frame when this one did not need it.
class FrameBuffers {
 public:
  static constexpr int kParts = 3;

  FrameBuffers() = default;
  ~FrameBuffers() { release(); }
  FrameBuffers(const FrameBuffers&) = delete;
  FrameBuffers& operator=(const FrameBuffers&) = delete;

  /// False: out of buffers.
  bool refill(const BufferPools& pools);
  void scatter(iovec* parts);
  /// The frame that was just read, `length` bytes without the vnet header; its metadata is zero but for in_port.
  rte_mbuf* take(uint32_t length, PortId in_port);
  const VnetHeader& header() const { return header_; }
  void release();

 private:
  VnetHeader header_;
  rte_mbuf* head_ = nullptr;
  rte_mbuf* jumbo_ = nullptr;
};

constexpr int kMaxSegments = 64;  ///< buffers that a frame to send may consist of

/// The frame's buffers as the kernel wants them; returns how many. `parts` has room for kMaxSegments.
int gather(const rte_mbuf* frame, iovec* parts);

}  // namespace sluice
