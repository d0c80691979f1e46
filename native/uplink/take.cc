#include "take.h"

#include <fcntl.h>

#include "core/descriptor.h"
#include "interface.h"
#include "namespace.h"
#include "port/netns.h"

namespace sluice::uplink {

namespace {

constexpr const char* kTap = "tun";  // the kernel's name of TAPs' kind too

/// What is where now.
struct Places {
  std::optional<LinkInfo> tap, unnamed_tap;  ///< the TAP under the interface's name, and under the temporary one
  std::optional<LinkInfo> home;              ///< the interface, in the node's namespace
  std::optional<LinkInfo> away;              ///< the interface, in that of its own
};

/// The kernel itself moves an interface out of a namespace that ends, maybe under another name: its MAC tells it.
Result<Places> find_places(const Netlink& netlink, const Record& record) {
  auto all = links(netlink);
  if (!all) return all.error();
  Places places;
  for (const LinkInfo& link : all.value()) {
    const bool tap = link.kind == kTap;
    if (tap && link.name == record.device) places.tap = link;
    if (tap && link.name == record.temporary) places.unnamed_tap = link;
    if (!tap && link.name == record.device) places.home = link;
  }
  if (netns_id(record.netns)) {
    Status looked = in_netns(record.netns, [&]() -> Status {
      auto there = Netlink::open();
      if (!there) return there.error();
      auto found = find_link(there.value(), record.device);
      if (!found) return found.error();
      places.away = found.value();
      return {};
    });
    if (!looked) return looked.error();
  }
  if (places.home || places.away) return places;
  for (const LinkInfo& link : all.value()) {
    if (link.kind != kTap && !link.loopback && link.mac == record.settings.mac) places.home = link;
  }
  return places;
}

Status move_away(const Netlink& netlink, const Record& record, int index) {
  const Descriptor netns(open(record.netns.c_str(), O_RDONLY | O_CLOEXEC));
  return move_link(netlink, index, netns.number(), record.device);
}

Status move_home(const Record& record, int index) {
  const Descriptor home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  return in_netns(record.netns, [&]() -> Status {
    auto there = Netlink::open();
    if (!there) return there.error();
    return move_link(there.value(), index, home.number(), record.device);
  });
}

/// The TAP is made and set before the interface goes, so that the node is cut off for a short time only.
Status replace_by_tap(const Netlink& netlink, const Record& record, int index) {
  if (Status made = make_netns(record.netns); !made) return made;
  if (Status made = make_tap(record.temporary, record.settings.mac); !made) return made;
  auto tap = find_link(netlink, record.temporary);
  if (!tap) return tap.error();
  if (!tap.value()) return Error{"uplink-setup-failed", "/device", "TAP " + record.temporary + " vanished"};
  LinkInfo link = *tap.value();
  if (Status written = write_settings(netlink, link, record.settings); !written) return written;
  if (Status moved = move_away(netlink, record, index); !moved) return moved;
  if (Status renamed = rename_link(netlink, link.index, record.device); !renamed) return renamed;
  link.name = record.device;
  return write_addressing(netlink, link, record.settings, true);
}

Status remove_tap(const Netlink& netlink, const std::optional<LinkInfo>& tap) {
  return tap ? remove_link(netlink, tap->index, tap->name) : Status();
}

/// What was changed on the TAP while it stood for the interface holds for the interface from now on.
Status begin_giving(const Netlink& netlink, const std::string& path, const Places& places, Record* record) {
  if (record->stage != Stage::Taken) return {};
  if (places.tap && places.tap->up) {
    const std::vector<Object> neighbours = record->settings.neighbours;
    if (Status read = read_addressing(netlink, places.tap->index, &record->settings); !read) return read;
    record->settings.neighbours = neighbours;
  }
  record->stage = Stage::Giving;
  return write_record(path, *record);
}

Status restore(const Netlink& netlink, const std::string& path, Record record) {
  auto places = find_places(netlink, record);
  if (!places) return places.error();
  if (!places.value().home && !places.value().away) {
    return Error{"uplink-lost", path,
                 "interface " + record.device + " (" + record.settings.mac +
                     ") is nowhere to be found; if it is gone for good, remove this file and the TAP of its name"};
  }
  if (Status begun = begin_giving(netlink, path, places.value(), &record); !begun) return begun;
  if (Status removed = remove_tap(netlink, places.value().unnamed_tap); !removed) return removed;
  if (Status removed = remove_tap(netlink, places.value().tap); !removed) return removed;
  if (places.value().away) {
    if (Status moved = move_home(record, places.value().away->index); !moved) return moved;
  } else if (places.value().home->name != record.device) {
    if (Status renamed = rename_link(netlink, places.value().home->index, record.device); !renamed) return renamed;
  }
  auto home = find_link(netlink, record.device);
  if (!home) return home.error();
  if (!home.value()) return Error{"uplink-lost", path, "interface " + record.device + " vanished on its way back"};
  if (Status removed = remove_driver(netlink, *home.value(), record.settings); !removed) return removed;
  if (Status written = write_settings(netlink, *home.value(), record.settings); !written) return written;
  if (Status written = write_addressing(netlink, *home.value(), record.settings, false); !written) return written;
  if (Status removed = remove_netns(record.netns); !removed) return removed;
  return remove_record(path);
}

Result<LinkInfo> takeable(const Netlink& netlink, const std::string& device) {
  auto found = find_link(netlink, device);
  if (!found) return found.error();
  if (!found.value()) return Error{"no-such-interface", "/device", "the node has no interface " + device};
  const LinkInfo& link = *found.value();
  if (link.loopback || link.kind == kTap) {
    return Error{"uplink-unsuitable", "/device", device + " is no Ethernet interface that leads somewhere"};
  }
  return link;
}

/// True when all is as take() left it.
Result<bool> stands(const Netlink& netlink, const Record& record) {
  if (record.stage != Stage::Taken) return false;
  auto places = find_places(netlink, record);
  if (!places) return places.error();
  return places.value().tap.has_value() && places.value().away.has_value();
}

}  // namespace

Result<Record> take(const std::string& device, const std::string& record_path, const std::string& netns,
                    int64_t owner) {
  auto lock = RecordLock::acquire(record_path);
  if (!lock) return lock.error();
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  auto earlier = read_record(record_path);
  if (!earlier) return earlier.error();
  if (earlier.value()) {
    auto standing = stands(netlink.value(), *earlier.value());
    if (!standing) return standing.error();
    if (standing.value() && earlier.value()->device == device) {
      earlier.value()->owner = owner;
      if (Status written = write_record(record_path, *earlier.value()); !written) return written.error();
      return *earlier.value();
    }
    if (Status restored = restore(netlink.value(), record_path, *earlier.value()); !restored) return restored.error();
  }
  auto link = takeable(netlink.value(), device);
  if (!link) return link.error();
  auto settings = read_settings(netlink.value(), link.value());
  if (!settings) return settings.error();
  Record record{Stage::Taking, device, netns, owner, "sluice" + std::to_string(link.value().index), settings.value()};
  if (Status written = write_record(record_path, record); !written) return written.error();
  Status taken = replace_by_tap(netlink.value(), record, link.value().index);
  if (taken) {
    record.stage = Stage::Taken;
    taken = write_record(record_path, record);
  }
  if (taken) return record;
  Error error = taken.error();
  record.stage = Stage::Taking;
  if (Status restored = restore(netlink.value(), record_path, record); !restored) {
    error.message += "; giving it back failed too: " + restored.error().message;
  }
  return error;
}

Status give_back(const std::string& record_path, int64_t owner) {
  auto lock = RecordLock::acquire(record_path);
  if (!lock) return lock.error();
  auto record = read_record(record_path);
  if (!record) return record.error();
  if (!record.value() || (owner != 0 && record.value()->owner != owner)) return {};
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  return restore(netlink.value(), record_path, *record.value());
}

}  // namespace sluice::uplink
