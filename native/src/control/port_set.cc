#include "control/port_set.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace sluice {

namespace {

/// From one vain attempt to open a lost port to the next one: each takes the ports to be tried from the workers.
constexpr auto kRetry = std::chrono::seconds(10);

/// Threads that open pods' interfaces at once. Most of it is the kernel's, under its lock of all interfaces; the rest
/// (sysfs, procfs, sockets) is not.
constexpr size_t kOpeners = 3;

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

bool is_in_pod(const PortConfig& config) {
  return (config.kind == PortKind::Tap || config.kind == PortKind::Veth) && !config.netns.empty();
}

void lose(PortSet::Entry& entry, std::string why) {
  entry.lost = std::move(why);
  entry.netns.reset();
  entry.port->let_go();
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
         a.peer_kept == b.peer_kept && a.peer_addresses == b.peer_addresses &&
         a.peer_default_route == b.peer_default_route && a.peer_routes == b.peer_routes &&
         ((!a.peer_default_route && a.peer_routes.empty()) || a.addresses == b.addresses);
}

}  // namespace

bool PortSet::Entry::can_return() const {
  if (lost.empty()) return false;
  const auto found = netns_id(config.netns);
  return found && (found != netns || std::chrono::steady_clock::now() - tried >= kRetry);
}

void PortSet::look_after() {
  for (auto& [name, entry] : entries_) {
    if (!entry.lost.empty()) continue;
    const PortConfig& config = entry.config;
    const auto found = is_in_pod(config) ? netns_id(config.netns) : entry.netns;
    if (!found) {
      lose(entry, "network namespace " + config.netns + " is gone");
    } else if (found != entry.netns) {
      lose(entry, "network namespace " + config.netns + " was replaced by another one of that name");
    } else if (entry.port->gone()) {
      lose(entry, "interface " + config.device + " is gone");
    }
  }
}

Port* PortSet::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found != entries_.end() ? found->second.port.get() : nullptr;
}

Result<PortSet::Entry> PortSet::open(const PortConfig& config, PortId id) {
  if (config.kind == PortKind::Vxlan) {
    auto port = std::make_shared<TunnelPort>();
    port->id = id;
    port->name = config.name;
    port->mtu = config.mtu;
    if (config.mac) port->mac = *config.mac;
    return Entry{config, std::move(port), netns_id(""), {}, ""};
  }
  if (is_pod(config)) {
    closer_.wait([&](const PortConfig& closing) { return same_device(closing, config); });
  }
  // Read first: if another one takes its place meanwhile, look_after() finds that out.
  const auto netns = netns_id(config.netns);
  auto opened = open_port(config, id, pools_, workers_);
  if (!opened) return opened.error();
  return Entry{config, std::move(opened.value()), netns, {}, ""};
}

/// In order where several can fail; the first failure is the last one that is begun.
void PortSet::open_all(const std::vector<PortConfig>& wanted, std::vector<Opening>& openings) {
  std::atomic<bool> failed{false};
  const auto open_one = [&](Opening& opening) {
    opening.opened = open(wanted[opening.index], opening.id);
    if (!*opening.opened) failed = true;
  };
  std::vector<Opening*> pods;
  for (Opening& opening : openings) {
    if (is_pod(wanted[opening.index])) {
      pods.push_back(&opening);
    } else if (!failed) {
      open_one(opening);
    }
  }
  std::atomic<size_t> next{0};
  const auto open_pods = [&] {
    for (size_t i = next++; i < pods.size() && !failed; i = next++) open_one(*pods[i]);
  };
  std::vector<std::thread> others;
  while (others.size() + 1 < std::min(pods.size(), kOpeners)) others.emplace_back(open_pods);
  open_pods();
  for (std::thread& other : others) other.join();
}

Status PortSet::replace(const PortConfig& wanted, Prepared& prepared) {
  Entry& current = entries_.at(wanted.name);
  current.port->close(true);
  prepared.replaced.push_back(wanted.name);
  auto opened = open(wanted, current.port->id);
  if (!opened) return opened.error();
  prepared.entries[wanted.name] = opened.value();
  return {};
}

void PortSet::bring_back(const PortConfig& wanted, Prepared& prepared) {
  const auto netns = netns_id(wanted.netns);
  const Status replaced = replace(wanted, prepared);
  if (replaced) {
    prepared.returned.push_back(wanted.name);
    return;
  }
  Entry& lost = prepared.entries.at(wanted.name);
  lost.netns = netns;
  lost.tried = std::chrono::steady_clock::now();
  lost.lost = replaced.error().message;
}

/// Ports that keep all jumbo buffers to themselves would leave none for frames in work, and some ports without any.
Status PortSet::check_jumbos(const Entries& entries, const std::vector<PortConfig>& wanted, size_t& refused) const {
  uint32_t kept = 0;
  for (const PortConfig& config : wanted) kept += entries.at(config.name).port->jumbos();
  const uint32_t available = pools_.jumbos->size, most = available - available / 4;
  if (kept <= most) return {};
  uint32_t sum = 0;
  for (refused = 0; sum <= most; refused++) sum += entries.at(wanted[refused].name).port->jumbos();
  refused--;
  return Error{"too-few-buffers", "",
               "the ports keep " + std::to_string(kept) +
                   " of the 64 KiB buffers for frames to come, and a quarter of all " + std::to_string(available) +
                   " has to be left for frames in work; start the node with memory.jumbos of " +
                   std::to_string(kept + kept / 3 + 1) + " or more"};
}

Result<PortSet::Prepared> PortSet::prepare(const std::vector<PortConfig>& wanted, const Release& release) {
  look_after();
  Prepared prepared;
  std::vector<size_t> changed, returning;
  std::vector<Opening> openings;
  std::vector<bool> used(kMaxPorts);
  for (const auto& [name, entry] : entries_) used[entry.port->id] = true;
  const auto refuse = [&](size_t index, Error error) {
    abandon(prepared);
    error.path = "/ports/" + std::to_string(index) + error.path;
    return error;
  };
  for (size_t i = 0; i < wanted.size(); i++) {
    const auto current = entries_.find(wanted[i].name);
    const bool known = current != entries_.end();
    if (known && same_setup(current->second.config, wanted[i])) {
      if (current->second.can_return()) returning.push_back(i);
      Entry& kept = prepared.entries[wanted[i].name] = current->second;
      kept.config = wanted[i];
      continue;
    }
    if (known && same_device(current->second.config, wanted[i])) {
      changed.push_back(i);
      continue;
    }
    // Another device is opened beside the port's present one, which goes on until the new one is in force.
    const size_t free = std::find(used.begin(), used.end(), false) - used.begin();
    const size_t id = known ? current->second.port->id : free;
    if (id == kMaxPorts) {
      return refuse(i, {"too-many-ports", "", "a node has at most " + std::to_string(kMaxPorts) + " ports"});
    }
    used[id] = true;
    openings.push_back({i, static_cast<PortId>(id), {}});
  }
  open_all(wanted, openings);
  for (const Opening& opening : openings) {
    if (opening.opened && !*opening.opened) return refuse(opening.index, opening.opened->error());
  }
  for (const Opening& opening : openings) prepared.entries[wanted[opening.index].name] = opening.opened->value();
  if (!changed.empty() || !returning.empty()) {
    std::vector<std::string> names;
    for (const size_t i : changed) names.push_back(wanted[i].name);
    for (const size_t i : returning) names.push_back(wanted[i].name);
    release(names);
  }
  for (const size_t i : returning) bring_back(wanted[i], prepared);
  for (const size_t i : changed) {
    if (Status replaced = replace(wanted[i], prepared); !replaced) return refuse(i, replaced.error());
  }
  size_t one_too_many = 0;
  if (Status enough = check_jumbos(prepared.entries, wanted, one_too_many); !enough) {
    return refuse(one_too_many, enough.error());
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
    if (auto restored = open(current.config, current.port->id)) current = restored.value();
  }
  prepared = {};
}

void PortSet::close_all(bool keep_taps) {
  closer_.wait([](const PortConfig&) { return true; });
  for (auto& [name, entry] : entries_) entry.port->close(keep_taps && is_pod(entry.config));
  entries_.clear();
}

}  // namespace sluice
