#include "control/port_set.h"

#include <algorithm>

namespace sluice {

namespace {

/// A tunnel is a port in all but frames of its own: packets enter and leave it through the port that carries it.
class TunnelPort final : public Port {
 public:
  uint16_t receive(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  uint16_t transmit(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  uint16_t queues() const override { return 0; }
  PortCounters counters() const override { return {}; }
};

bool is_pod(const PortConfig& config) {
  return config.kind == PortKind::Tap && !config.netns.empty();
}

bool same_prefixes(const std::vector<IpPrefix>& a, const std::vector<IpPrefix>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const IpPrefix& left, const IpPrefix& right) {
    return left.address == right.address && left.length == right.length;
  });
}

bool same_mac(const std::optional<rte_ether_addr>& a, const std::optional<rte_ether_addr>& b) {
  return a.has_value() == b.has_value() && (!a || rte_is_same_ether_addr(&*a, &*b) != 0);
}

/// True when both are one device, which can be open only once.
bool same_device(const PortConfig& a, const PortConfig& b) {
  return a.kind == b.kind && a.device == b.device && a.netns == b.netns && a.devargs == b.devargs &&
         a.pcap_rx == b.pcap_rx && a.pcap_tx == b.pcap_tx && a.memif_id == b.memif_id &&
         a.memif_server == b.memif_server;
}

/// True when the open device serves the new configuration: what routing alone reads may differ. The dataplane's own
/// addresses are set-up of the namespace too where they are its default gateways.
bool same_setup(const PortConfig& a, const PortConfig& b) {
  return same_device(a, b) && same_mac(a.mac, b.mac) && same_mac(a.peer_mac, b.peer_mac) && a.mtu == b.mtu &&
         a.peer_kept == b.peer_kept && same_prefixes(a.peer_addresses, b.peer_addresses) &&
         a.peer_default_route == b.peer_default_route && same_prefixes(a.peer_routes, b.peer_routes) &&
         ((!a.peer_default_route && a.peer_routes.empty()) || same_prefixes(a.addresses, b.addresses));
}

}  // namespace

Port* PortSet::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found != entries_.end() ? found->second.port.get() : nullptr;
}

std::optional<PortId> PortSet::free_id(const Entries& next) const {
  const auto uses = [](const Entries& entries, PortId id) {
    return std::any_of(entries.begin(), entries.end(), [id](const auto& entry) { return entry.second.port->id == id; });
  };
  for (PortId id = 0; id < kMaxPorts; id++) {
    if (!uses(entries_, id) && !uses(next, id)) return id;
  }
  return std::nullopt;
}

Result<std::shared_ptr<Port>> PortSet::open(const PortConfig& config, PortId id) {
  if (config.kind == PortKind::Vxlan) {
    auto port = std::make_shared<TunnelPort>();
    port->id = id;
    port->name = config.name;
    port->mtu = config.mtu;
    if (config.mac) port->mac = *config.mac;
    return std::shared_ptr<Port>(std::move(port));
  }
  if (is_pod(config)) {
    closer_.wait([&](const PortConfig& closing) { return same_device(closing, config); });
  }
  auto opened = open_port(config, id, pools_, workers_);
  if (!opened) return opened.error();
  return std::shared_ptr<Port>(std::move(opened.value()));
}

Status PortSet::replace(const PortConfig& wanted, Prepared& prepared) {
  Entry& current = entries_.at(wanted.name);
  current.port->close(true);
  prepared.replaced.push_back(wanted.name);
  auto opened = open(wanted, current.port->id);
  if (!opened) return opened.error();
  prepared.entries[wanted.name] = {wanted, opened.value()};
  return {};
}

Result<PortSet::Prepared> PortSet::prepare(const std::vector<PortConfig>& wanted, const Release& release) {
  Prepared prepared;
  std::vector<size_t> changed;
  const auto refuse = [&](size_t index, Error error) {
    abandon(prepared);
    error.path = "/ports/" + std::to_string(index) + error.path;
    return error;
  };
  for (size_t i = 0; i < wanted.size(); i++) {
    const auto current = entries_.find(wanted[i].name);
    const bool known = current != entries_.end();
    if (known && same_setup(current->second.config, wanted[i])) {
      prepared.entries[wanted[i].name] = {wanted[i], current->second.port};
      continue;
    }
    if (known && same_device(current->second.config, wanted[i])) {
      changed.push_back(i);
      continue;
    }
    // Another device is opened beside the port's present one, which goes on until the new one is in force.
    const auto id = known ? std::optional<PortId>(current->second.port->id) : free_id(prepared.entries);
    if (!id) return refuse(i, {"too-many-ports", "", "a node has at most " + std::to_string(kMaxPorts) + " ports"});
    auto opened = open(wanted[i], *id);
    if (!opened) return refuse(i, opened.error());
    prepared.entries[wanted[i].name] = {wanted[i], opened.value()};
  }
  if (!changed.empty()) {
    std::vector<std::string> names;
    for (const size_t i : changed) names.push_back(wanted[i].name);
    release(names);
  }
  for (const size_t i : changed) {
    if (Status replaced = replace(wanted[i], prepared); !replaced) return refuse(i, replaced.error());
  }
  return prepared;
}

void PortSet::commit(Prepared prepared) {
  for (auto& [name, entry] : entries_) {
    const auto kept = prepared.entries.find(name);
    const auto& replaced = prepared.replaced;
    const bool closed = std::find(replaced.begin(), replaced.end(), name) != replaced.end();
    if (closed || (kept != prepared.entries.end() && kept->second.port == entry.port)) continue;
    if (is_pod(entry.config)) {
      closer_.close(entry.config, entry.port);
    } else {
      entry.port->close(false);
    }
  }
  entries_ = std::move(prepared.entries);
}

void PortSet::abandon(Prepared& prepared) {
  for (const std::string& name : prepared.replaced) {
    const auto opened = prepared.entries.find(name);
    if (opened != prepared.entries.end()) opened->second.port->close(true);
    Entry& current = entries_.at(name);
    // If even the old device is refused the entry keeps its closed port, which is down and says so in the status.
    if (auto restored = open(current.config, current.port->id)) current.port = restored.value();
  }
  prepared = {};
}

void PortSet::close_all(bool keep_taps) {
  closer_.wait([](const PortConfig&) { return true; });
  for (auto& [name, entry] : entries_) entry.port->close(keep_taps && is_pod(entry.config));
  entries_.clear();
}

}  // namespace sluice
