#include "port/packet_socket_port.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_ether.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/kernel_interface.h"
#include "port/netns.h"
#include "port/silence.h"
#include "port/vlan_tag.h"

namespace sluice {

namespace {

/// Room for what waits to be received or sent, in the kernel's measure (a frame of 1500 bytes counts 2304).
constexpr int kSocketBytes = 16 * 1024 * 1024;

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(tpacket_auxdata));

/// One receive() ends after this many bytes even when more frames wait, so that they are still in the CPU's cache when
/// they are sent on.
constexpr uint64_t kReceiveBytes = 256 * 1024;

Error failed(const std::string& path, const std::string& device, const std::string& what) {
  return Error{"port-open-failed", path, "interface " + device + ": " + what + ": " + std::strerror(errno)};
}

Status set_option(int fd, int level, int option, const std::string& device, const char* what) {
  const int on = 1;
  if (setsockopt(fd, level, option, &on, sizeof on) == 0) return {};
  return failed("/device", device, what);
}

}  // namespace

Result<std::unique_ptr<Port>> PacketSocketPort::open(const PortConfig& config, PortId id, const BufferPools& pools,
                                                     uint16_t workers) {
  if (config.device.empty() || config.device.size() >= IFNAMSIZ) {
    return Error{"invalid-device", "/device",
                 "\"" + config.device + "\" is no interface name: name the kernel interface to use"};
  }
  std::unique_ptr<PacketSocketPort> port(new PacketSocketPort(config, id, pools, workers));
  if (Status status = in_netns(config.netns, [&] { return port->make_socket(config); }); !status) return status.error();
  return std::unique_ptr<Port>(std::move(port));
}

/// What recvmmsg fills, kept from call to call: only what was filled is made ready again.
struct PacketSocketPort::ReceiveBatch {
  static constexpr uint16_t kFrames = kReceiveFrames;

  /// How many of the first `wanted` are ready: fewer when buffers are short.
  uint16_t refill(uint16_t wanted, const BufferPools& pools) {
    while (ready < used && make_ready(ready, pools)) ready++;
    return ready < used ? std::min(wanted, ready) : wanted;
  }
  void filled(uint16_t count) {
    used = ready < used ? used : count;
    ready = 0;
  }

  bool make_ready(uint16_t i, const BufferPools& pools) {
    if (!buffers[i].refill(pools)) return false;
    buffers[i].scatter(parts[i]);
    msghdr& message = messages[i].msg_hdr;
    message.msg_iov = parts[i];
    message.msg_iovlen = FrameBuffers::kParts;
    message.msg_control = control[i];
    message.msg_controllen = kControlBytes;
    message.msg_flags = 0;
    return true;
  }

  uint16_t used = kFrames;  ///< the first so many are to be made ready,
  uint16_t ready = 0;       ///< of which so many are
  mmsghdr messages[kFrames] = {};
  iovec parts[kFrames][FrameBuffers::kParts];
  alignas(cmsghdr) char control[kFrames][kControlBytes];
  FrameBuffers buffers[kFrames];
};

PacketSocketPort::PacketSocketPort(const PortConfig& config, PortId port_id, const BufferPools& pools, uint16_t workers)
    : pools_(pools), batch_(std::make_unique<ReceiveBatch>()), tx_(workers) {
  id = port_id;
  name = config.name;
  mtu = config.mtu;
}

PacketSocketPort::~PacketSocketPort() {
  close(false);
}

void PacketSocketPort::close(bool) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  gone_ = true;
  batch_.reset();
}

Status PacketSocketPort::make_socket(const PortConfig& config) {
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);  // no protocol: nothing comes in before listen()
  if (fd_ < 0) return failed("/device", config.device, "no packet socket");
  if (Status status = set_up_interface(config); !status) return status;
  const std::string& device = config.device;
  if (Status status = set_option(fd_, SOL_PACKET, PACKET_VNET_HDR, device, "no offload headers"); !status)
    return status;
  if (Status status = set_option(fd_, SOL_PACKET, PACKET_AUXDATA, device, "no VLAN tags"); !status) return status;
  if (Status status = set_option(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, device, "ignoring sent frames"); !status) {
    return status;
  }
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    if (setsockopt(fd_, SOL_SOCKET, option, &kSocketBytes, sizeof kSocketBytes) != 0) {
      return failed("/device", device, "sizing the socket's buffers");
    }
  }
  return listen(config);
}

Status PacketSocketPort::set_up_interface(const PortConfig& config) {
  ifreq request{};
  std::memcpy(request.ifr_name, config.device.c_str(), config.device.size());
  if (ioctl(fd_, SIOCGIFINDEX, &request) != 0) return failed("/device", config.device, "it cannot be found");
  index_ = request.ifr_ifindex;
  if (ioctl(fd_, SIOCGIFHWADDR, &request) != 0) return failed("/device", config.device, "reading its MAC");
  std::memcpy(mac.addr_bytes, request.ifr_hwaddr.sa_data, RTE_ETHER_ADDR_LEN);
  if (ioctl(fd_, SIOCGIFMTU, &request) != 0) return failed("/device", config.device, "reading its MTU");
  if (request.ifr_mtu < config.mtu) {
    request.ifr_mtu = config.mtu;
    if (ioctl(fd_, SIOCSIFMTU, &request) != 0) return failed("/mtu", config.device, "raising its MTU");
  }
  return bring_up(config.device);
}

/// Memberships end with the socket, so a killed dataplane leaves no promiscuous interface behind.
Status PacketSocketPort::listen(const PortConfig& config) {
  packet_mreq membership{};
  membership.mr_ifindex = index_;
  membership.mr_type = PACKET_MR_ALLMULTI;  // neighbour discovery
  if (config.mac && !rte_is_same_ether_addr(&*config.mac, &mac)) {
    mac = *config.mac;
    membership.mr_type = PACKET_MR_PROMISC;
  }
  if (setsockopt(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) {
    return failed("/mac", config.device, "asking it for the dataplane's frames");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = index_;
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return failed("/device", config.device, "listening on it");
  }
  return {};
}

uint16_t PacketSocketPort::receive(uint16_t queue, rte_mbuf** frames, uint16_t count) {
  uint16_t received = 0;
  uint64_t bytes = 0;
  int read;
  uint16_t wanted;
  do {
    if (gone_.load(std::memory_order_relaxed)) break;
    wanted = std::min<uint16_t>(count - received, ReceiveBatch::kFrames);
    read = read_batch(queue, wanted);
    for (int i = 0; i < read; i++) {
      const mmsghdr& message = batch_->messages[i];
      rte_mbuf* frame =
          take_frame(batch_->buffers[i], message.msg_len, message.msg_hdr.msg_control, message.msg_hdr.msg_controllen);
      if (frame == nullptr) {
        bump(rx_[queue].errors);
        continue;
      }
      bytes += frame->pkt_len;
      frames[received++] = frame;
    }
  } while (read == wanted && received < count && bytes < kReceiveBytes);
  if (received > 0) {
    rx_[queue].add(received, bytes);
    note_success();
  }
  return received;
}

/// Returns how many frames the batch has from its first on.
int PacketSocketPort::read_batch(uint16_t queue, uint16_t wanted) {
  ReceiveBatch& batch = *batch_;
  const uint16_t ready = batch.refill(wanted, pools_);
  if (ready == 0) {
    bump(rx_[queue].errors);
    return 0;
  }
  const int read = recvmmsg(fd_, batch.messages, ready, MSG_DONTWAIT, nullptr);
  if (read >= 0) {
    batch.filled(static_cast<uint16_t>(read));
    return read;
  }
  if (errno != EAGAIN && errno != EINTR) {
    bump(rx_[queue].errors);
    note_failure(errno);
  }
  return 0;
}

/// nullptr: the frame is broken, or of a kind of super-frame that the packet path does not have.
rte_mbuf* PacketSocketPort::take_frame(FrameBuffers& buffers, uint32_t length, const void* control,
                                       size_t control_length) {
  if (length <= sizeof(VnetHeader)) return nullptr;  // the buffers stay for the next frame
  rte_mbuf* frame = buffers.take(length - sizeof(VnetHeader), id);
  if (frame->pkt_len >= RTE_ETHER_HDR_LEN && apply_vnet_header(buffers.header(), frame) &&
      restore_vlan_tag(frame, control, control_length)) {
    return frame;
  }
  rte_pktmbuf_free(frame);
  return nullptr;
}

struct PacketSocketPort::TransmitBatch {
  static constexpr int kFrames = 64;
  static constexpr int kParts = 4 * kFrames;

  bool full() const { return count == kFrames || used + 1 + kMaxSegments > kParts; }
  void clear() { count = used = 0; }

  void add(rte_mbuf* frame, const VnetHeader& header) {
    headers[count] = header;
    iovec* first = parts + used;
    first[0] = {&headers[count], sizeof header};
    const int segments = gather(frame, first + 1);
    messages[count] = {};
    messages[count].msg_hdr.msg_iov = first;
    messages[count].msg_hdr.msg_iovlen = 1 + segments;
    used += 1 + segments;
    frames[count++] = frame;
  }

  int count = 0, used = 0;
  rte_mbuf* frames[kFrames];
  mmsghdr messages[kFrames];
  VnetHeader headers[kFrames];
  iovec parts[kParts];
};

uint16_t PacketSocketPort::transmit(uint16_t worker, rte_mbuf** frames, uint16_t count) {
  if (gone_.load(std::memory_order_relaxed)) return 0;
  TransmitBatch batch;
  uint16_t taken = 0;
  while (taken < count) {
    batch.clear();
    VnetHeader header;
    uint16_t next = taken;
    while (next < count && !batch.full() && frames[next]->nb_segs <= kMaxSegments &&
           make_vnet_header(frames[next], &header)) {
      batch.add(frames[next++], header);
    }
    if (batch.count == 0) {  // a frame that cannot be sent
      bump(tx_[worker].errors);
      rte_pktmbuf_free(frames[taken++]);
      continue;
    }
    const uint16_t sent = send_batch(worker, batch);
    taken += sent;
    if (sent < batch.count) break;
  }
  return taken;
}

/// Returns how many of the batch's frames were taken: sent, or refused by the kernel one by one and freed.
uint16_t PacketSocketPort::send_batch(uint16_t worker, TransmitBatch& batch) {
  int done = 0;
  uint32_t sent = 0;
  uint64_t bytes = 0;
  bool stale = true;  // the socket may still hold an error from a time when the interface was down
  while (done < batch.count) {
    const int result = sendmmsg(fd_, batch.messages + done, batch.count - done, MSG_DONTWAIT);
    if (result < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      note_failure(errno);
      if (up() && stale) {
        stale = false;
        continue;
      }
      bump(tx_[worker].errors);
      if (!up()) break;
      rte_pktmbuf_free(batch.frames[done++]);
      continue;
    }
    for (int i = 0; i < result; i++, done++) {
      bytes += batch.frames[done]->pkt_len;
      rte_pktmbuf_free(batch.frames[done]);
    }
    sent += result;
  }
  if (sent > 0) {
    tx_[worker].add(sent, bytes);
    note_success();
  }
  return done;
}

/// ENETDOWN says that the interface is, or was, down or gone; ENXIO that it is gone.
void PacketSocketPort::note_failure(int reason) {
  if (reason != ENETDOWN && reason != ENXIO && reason != ENODEV) return;
  int pending;
  socklen_t size = sizeof pending;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &pending, &size);  // reading it clears it
  ifreq request{};
  request.ifr_ifindex = index_;
  const bool there = ioctl(fd_, SIOCGIFNAME, &request) == 0 && ioctl(fd_, SIOCGIFFLAGS, &request) == 0;
  if (!there) gone_.store(true, std::memory_order_relaxed);
  down_.store(!there || (request.ifr_flags & IFF_UP) == 0, std::memory_order_relaxed);
}

void PacketSocketPort::note_success() {
  if (down_.load(std::memory_order_relaxed)) down_.store(false, std::memory_order_relaxed);
}

void PacketSocketPort::let_go() {
  if (!gone_.exchange(true)) silence(fd_);
}

PortCounters PacketSocketPort::counters() const {
  return sum_lanes(rx_, tx_);
}

}  // namespace sluice
