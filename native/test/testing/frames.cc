#include "testing/frames.h"

#include <cstring>

#include "testing/eal.h"

namespace sluice::testing {
namespace {

void append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void append16(Bytes& bytes, uint32_t value) {
  bytes.push_back(static_cast<uint8_t>(value >> 8));
  bytes.push_back(static_cast<uint8_t>(value));
}

uint16_t internet_checksum(const Bytes& header) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < header.size(); i += 2) sum += static_cast<uint32_t>(header[i] << 8 | header[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

Bytes ip4(const Ip4& fields) {
  const Bytes options = from_hex(fields.options), payload = from_hex(fields.payload);
  const size_t header = 20 + options.size();
  const size_t words = fields.header_words < 0 ? header / 4 : static_cast<size_t>(fields.header_words);
  Bytes bytes = {static_cast<uint8_t>(fields.version << 4 | words), 0};
  append16(bytes,
           fields.length < 0 ? static_cast<uint32_t>(header + payload.size()) : static_cast<uint32_t>(fields.length));
  append16(bytes, 0x1234);
  append16(bytes, fields.fragment);
  append(bytes, {64, fields.protocol, 0, 0});
  append(bytes, from_hex(fields.source));
  append(bytes, from_hex(fields.destination));
  append(bytes, options);
  const uint16_t sum = static_cast<uint16_t>(internet_checksum(bytes) + fields.checksum_error);
  bytes[10] = static_cast<uint8_t>(sum >> 8);
  bytes[11] = static_cast<uint8_t>(sum);
  append(bytes, payload);
  return bytes;
}

Bytes ip6(const Ip6& fields) {
  const Bytes payload = from_hex(fields.payload);
  Bytes bytes = {static_cast<uint8_t>(fields.version << 4), 0, 0, 0};
  append16(bytes, fields.length < 0 ? static_cast<uint32_t>(payload.size()) : static_cast<uint32_t>(fields.length));
  append(bytes, {fields.next, 64});
  append(bytes, from_hex(fields.source));
  append(bytes, from_hex(fields.destination));
  append(bytes, payload);
  return bytes;
}

Bytes behind(const std::string& link_header, const Bytes& packet) {
  Bytes bytes = from_hex(link_header);
  append(bytes, packet);
  return bytes;
}

std::string hex(const Bytes& bytes) {
  return to_hex(bytes.data(), bytes.size());
}

ExactPacket::ExactPacket(const Bytes& bytes)
    : data_(new uint8_t[bytes.size()]), buffer_(new Buffer{}), mbuf_(reinterpret_cast<rte_mbuf*>(buffer_->bytes)) {
  if (!bytes.empty()) memcpy(data_.get(), bytes.data(), bytes.size());
  mbuf_->priv_size = sizeof(PacketMeta);
  mbuf_->buf_addr = data_.get();
  mbuf_->buf_len = mbuf_->data_len = static_cast<uint16_t>(bytes.size());
  mbuf_->pkt_len = static_cast<uint32_t>(bytes.size());
  mbuf_->nb_segs = 1;
  rte_mbuf_refcnt_set(mbuf_, 1);
}

}  // namespace sluice::testing
