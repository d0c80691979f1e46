#include "port/tap_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "port/link_address.h"
#include "port/netns.h"
#include "port/peer_setup.h"
#include "port/silence.h"

namespace sluice {

namespace {

constexpr int kTapFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

/// One receive() ends after this many bytes even when more frames wait, so that a burst of super-frames is sent on
/// while it is still in the CPU's cache.
constexpr uint32_t kReceiveBytes = 256 * 1024;

Error failed(const std::string& device, const std::string& what, int reason) {
  return Error{"port-open-failed", "/device", "TAP " + device + ": " + what + ": " + std::strerror(reason)};
}

Error refused(const std::string& device, int reason) {
  if (reason == EBUSY) {
    return Error{"port-busy", "/device",
                 "TAP " + device + " is in use by another process; end it, or choose another name"};
  }
  if (reason == EINVAL) {
    return Error{"port-open-failed", "/device",
                 device + " is no usable TAP name, or an interface of another kind has it; choose another name"};
  }
  return failed(device, "the kernel refused to make or attach it", reason);
}

}  // namespace

Result<std::unique_ptr<Port>> TapPort::open(const PortConfig& config, PortId id, const BufferPools& pools,
                                            uint16_t workers) {
  if (config.device.empty() || config.device.size() >= IFNAMSIZ || config.device.find('/') != std::string::npos) {
    return Error{"invalid-device", "/device",
                 "\"" + config.device + "\" is no interface name: 1 to 15 characters without a slash are allowed"};
  }
  std::unique_ptr<TapPort> port(new TapPort(config, id, pools, workers));
  if (Status status = in_netns(config.netns, [&] { return port->make_device(config); }); !status) return status.error();
  return std::unique_ptr<Port>(std::move(port));
}

TapPort::TapPort(const PortConfig& config, PortId port_id, const BufferPools& pools, uint16_t workers)
    : pools_(pools), tx_(workers) {
  id = port_id;
  name = config.name;
  mac = config.mac ? *config.mac : address_from_name(config.name);
  mtu = config.mtu;
  kept_ = config.peer_kept;
}

TapPort::~TapPort() {
  close(existed_);
}

Status TapPort::make_device(const PortConfig& config) {
  existed_ = if_nametoindex(config.device.c_str()) != 0;
  if (Status status = attach(config.device); !status) return status;
  return set_up_peer(config, !existed_, mac, &peer_mac);
}

Status TapPort::attach(const std::string& device) {
  fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) return failed(device, "/dev/net/tun cannot be opened", errno);
  ifreq request{};
  std::memcpy(request.ifr_name, device.c_str(), device.size());
  request.ifr_flags = kTapFlags;
  if (ioctl(fd_, TUNSETIFF, &request) != 0) {
    const int reason = errno;
    ::close(fd_);
    fd_ = -1;
    return refused(device, reason);
  }
  int header_size = sizeof(VnetHeader);
  if (ioctl(fd_, TUNSETVNETHDRSZ, &header_size) != 0) return failed(device, "setting the header size", errno);
  if (ioctl(fd_, TUNSETOFFLOAD, kOffloads) != 0) return failed(device, "setting offloads", errno);
  if (ioctl(fd_, TUNSETPERSIST, 1) != 0) return failed(device, "making it persistent", errno);
  return {};
}

void TapPort::close(bool keep) {
  if (fd_ >= 0) {
    // What let_go() leaves in the device's place refuses the ioctl, and there is nothing to remove then.
    if (!keep && !kept_) ioctl(fd_, TUNSETPERSIST, 0);
    ::close(fd_);
  }
  fd_ = -1;
  gone_ = true;
  buffers_.release();
}

uint16_t TapPort::receive(uint16_t queue, rte_mbuf** frames, uint16_t count) {
  if (gone_.load(std::memory_order_relaxed)) return 0;
  uint16_t received = 0;
  uint32_t bytes = 0, bad = 0;
  while (received < count && bytes < kReceiveBytes) {
    if (!buffers_.refill(pools_)) {
      bad++;
      break;
    }
    iovec parts[FrameBuffers::kParts];
    buffers_.scatter(parts);
    const ssize_t length = readv(fd_, parts, FrameBuffers::kParts);
    if (length < 0 && errno == EINTR) continue;
    if (length <= static_cast<ssize_t>(sizeof(VnetHeader))) {
      if (length >= 0 || note_failure(errno)) bad++;
      break;
    }
    rte_mbuf* frame = buffers_.take(length - sizeof(VnetHeader), id);
    if (!apply_vnet_header(buffers_.header(), frame)) {
      bad++;
      rte_pktmbuf_free(frame);
      continue;
    }
    bytes += frame->pkt_len;
    frames[received++] = frame;
  }
  if (received > 0) {
    rx_[queue].add(received, bytes);
    note_success();
  }
  if (bad > 0) bump(rx_[queue].errors, bad);
  return received;
}

uint16_t TapPort::transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) {
  if (gone_.load(std::memory_order_relaxed)) return 0;
  uint16_t taken = 0;
  uint32_t sent = 0, bad = 0;
  uint64_t bytes = 0;
  for (; taken < count; taken++) {
    const int reason = send(frames[taken]);
    if (reason == 0) {
      sent++;
      bytes += frames[taken]->pkt_len;
    } else {
      if (note_failure(reason)) bad++;
      if (reason == EAGAIN || !up()) break;
    }
    rte_pktmbuf_free(frames[taken]);
  }
  if (sent > 0) {
    tx_[worker].add(sent, bytes);
    note_success();
  }
  if (bad > 0) bump(tx_[worker].errors, bad);
  return taken;
}

/// 0, or the reason why the frame was not sent; EINVAL when it cannot be.
int TapPort::send(const rte_mbuf* frame) {
  VnetHeader header;
  if (frame->nb_segs > kMaxSegments || !make_vnet_header(frame, &header)) return EINVAL;
  iovec parts[1 + kMaxSegments];
  parts[0] = {&header, sizeof header};
  const int used = 1 + gather(frame, parts + 1);
  while (writev(fd_, parts, used) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/// True when the failure is to be counted. EIO: the interface is down. EBADFD, ENODEV: it was deleted.
bool TapPort::note_failure(int reason) {
  if (reason == EAGAIN) return false;
  if (reason == EIO) {
    down_.store(true, std::memory_order_relaxed);
  } else if (reason == EBADFD || reason == ENODEV) {
    let_go();
  }
  return true;
}

void TapPort::note_success() {
  if (down_.load(std::memory_order_relaxed)) down_.store(false, std::memory_order_relaxed);
}

/// The device's descriptor would wake its waiters forever if it is deleted, and keep its namespace alive if it is not.
void TapPort::let_go() {
  if (!gone_.exchange(true)) silence(fd_);
}

}  // namespace sluice
