#pragma once

#include <netlink/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"

namespace sluice::uplink {

/// An rtnetlink object as the kernel sent it: the family's header, then attributes (rtnetlink(7)), host byte order.
using Object = std::vector<uint8_t>;

/// rtnetlink of the network namespace in which it is opened.
class Netlink {
 public:
  static Result<Netlink> open();

  /// All objects of a kind, by the type of the request (RTM_GETROUTE).
  Result<std::vector<Object>> list(int request, uint8_t family) const;

  /// Sends one object as a request of `type`. `done` says what is success besides success: a libnl code such as
  /// NLE_EXIST.
  Status send(int type, int flags, const Object& object, const std::string& what, int done = 0) const;

 private:
  struct Free {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };
  explicit Netlink(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Free> socket_;
};

/// The bytes of attribute `type`, after a header of `header` bytes; empty where there is none.
Object attribute(const Object& object, size_t header, uint16_t type);
void append_attribute(Object& object, uint16_t type, const void* bytes, size_t length);
/// `object` without the attributes that `drop` picks.
Object without(const Object& object, size_t header, const std::function<bool(uint16_t type)>& drop);

template <typename Header>
Header& header_of(Object& object) {
  return *reinterpret_cast<Header*>(object.data());
}
template <typename Header>
const Header& header_of(const Object& object) {
  return *reinterpret_cast<const Header*>(object.data());
}

}  // namespace sluice::uplink
