#include "netlink.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include <cstring>

#include "fault.h"

namespace sluice::uplink {

namespace {

Error failed(const std::string& what, int code) {
  return Error{"uplink-setup-failed", "/device", what + ": " + nl_geterror(code)};
}

int collect(nl_msg* message, void* objects) {
  const nlmsghdr* header = nlmsg_hdr(message);
  const auto* bytes = static_cast<const uint8_t*>(nlmsg_data(header));
  static_cast<std::vector<Object>*>(objects)->emplace_back(bytes, bytes + nlmsg_datalen(header));
  return NL_OK;
}

/// Calls `visit` for each attribute with its type, its place and its whole length without padding.
void each_attribute(const Object& object, size_t header,
                    const std::function<void(uint16_t type, size_t at, size_t length)>& visit) {
  size_t at = NLMSG_ALIGN(header);
  while (at + sizeof(rtattr) <= object.size()) {
    rtattr attribute;
    std::memcpy(&attribute, object.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > object.size()) return;
    visit(attribute.rta_type & NLA_TYPE_MASK, at, attribute.rta_len);
    at += RTA_ALIGN(attribute.rta_len);
  }
}

}  // namespace

Result<Netlink> Netlink::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return Error{"out-of-memory", "", "no memory for a netlink socket"};
  Netlink opened(socket);
  if (const int code = nl_connect(socket, NETLINK_ROUTE); code < 0) return failed("opening netlink", code);
  return opened;
}

Result<std::vector<Object>> Netlink::list(int request, uint8_t family) const {
  std::vector<Object> objects;
  rtmsg ask{};  // large enough for each kind of request, all of which start with the family
  ask.rtm_family = family;
  nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, collect, &objects);
  int code = nl_send_simple(socket_.get(), request, NLM_F_DUMP, &ask, sizeof(rtgenmsg));
  if (code >= 0) code = nl_recvmsgs_default(socket_.get());
  if (code < 0) return failed("listing what the kernel has", code);
  return objects;
}

Status Netlink::send(int type, int flags, const Object& object, const std::string& what, int done) const {
  nl_msg* message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
  if (message == nullptr) return Error{"out-of-memory", "", "no memory for a netlink message"};
  Object bytes = object;
  if (const int code = nlmsg_append(message, bytes.data(), bytes.size(), NLMSG_ALIGNTO); code < 0) {
    nlmsg_free(message);
    return failed(what, code);
  }
  const int code = nl_send_sync(socket_.get(), message);  // frees it
  fault_point();
  if (code < 0 && -code != done) return failed(what, code);
  return {};
}

Object attribute(const Object& object, size_t header, uint16_t wanted) {
  Object found;
  each_attribute(object, header, [&](uint16_t type, size_t at, size_t length) {
    if (type == wanted) found.assign(object.begin() + at + RTA_LENGTH(0), object.begin() + at + length);
  });
  return found;
}

void append_attribute(Object& object, uint16_t type, const void* bytes, size_t length) {
  object.resize(NLMSG_ALIGN(object.size()));
  const rtattr header{static_cast<unsigned short>(RTA_LENGTH(length)), type};
  const auto* start = reinterpret_cast<const uint8_t*>(&header);
  object.insert(object.end(), start, start + sizeof header);
  object.insert(object.end(), static_cast<const uint8_t*>(bytes), static_cast<const uint8_t*>(bytes) + length);
  object.resize(NLMSG_ALIGN(object.size()));
}

Object without(const Object& object, size_t header, const std::function<bool(uint16_t type)>& drop) {
  Object kept(object.begin(), object.begin() + std::min(object.size(), NLMSG_ALIGN(header)));
  each_attribute(object, header, [&](uint16_t type, size_t at, size_t length) {
    if (drop(type)) return;
    kept.insert(kept.end(), object.begin() + at, object.begin() + at + length);
    kept.resize(NLMSG_ALIGN(kept.size()));
  });
  return kept;
}

}  // namespace sluice::uplink
