#include "control/desired_state.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "control/json_reader.h"
#include "core/packet.h"

namespace sluice {

namespace {

using Json = nlohmann::json;
using MaybeError = std::optional<Error>;

const std::map<std::string, PortKind> kPortKinds = {
    {"tap", PortKind::Tap},     {"af-packet", PortKind::AfPacket}, {"af-xdp", PortKind::AfXdp},
    {"memif", PortKind::Memif}, {"pcap", PortKind::Pcap},          {"null", PortKind::Null},
    {"ring", PortKind::Ring},   {"inject", PortKind::Inject},      {"dpdk", PortKind::Dpdk},
    {"vxlan", PortKind::Vxlan}, {"veth", PortKind::Veth}};

const std::map<std::string, FailureStrategy> kStrategies = {{"FailClosed", FailureStrategy::FailClosed},
                                                            {"FailOpen", FailureStrategy::FailOpen},
                                                            {"Reload", FailureStrategy::Reload}};

constexpr const char* kHookNames[] = {"prerouting", "forward", "postrouting", "input", "output"};

template <typename Value>
Value one_of(JsonReader& reader, const char* key, const std::map<std::string, Value>& choices, Value fallback) {
  const std::string given = reader.text(key);
  if (given.empty()) return fallback;
  const auto found = choices.find(given);
  if (found != choices.end()) return found->second;
  std::string allowed;
  for (const auto& choice : choices) allowed += (allowed.empty() ? "" : ", ") + choice.first;
  reader.fail(reader.at(key), "must be one of " + allowed + "; found \"" + given + "\"");
  return fallback;
}

std::vector<IpPrefix> read_addresses(JsonReader& reader, const char* key) {
  std::vector<IpPrefix> addresses;
  reader.each(key, [&](const Json& element, const std::string& path) {
    const auto prefix = element.is_string() ? parse_prefix(element.get<std::string>(), true) : std::nullopt;
    if (!prefix) return reader.fail(path, "must be an address with its length such as 10.0.0.1/24");
    addresses.push_back(*prefix);
  });
  return addresses;
}

std::vector<std::string> read_names(JsonReader& reader, const char* key) {
  std::vector<std::string> names;
  reader.each(key, [&](const Json& element, const std::string& path) {
    if (!element.is_string()) return reader.fail(path, "must be a name");
    names.push_back(element.get<std::string>());
  });
  return names;
}

PortConfig read_port(const Json& json, const std::string& path, MaybeError& error) {
  JsonReader reader(json, path, error);
  PortConfig port;
  port.name = reader.text("name");
  if (port.name.empty()) reader.fail(path + "/name", "a port needs a name");
  port.kind = one_of(reader, "kind", kPortKinds, PortKind::Tap);
  port.device = reader.text("device");
  port.netns = reader.text("netns");
  port.devargs = reader.text("devargs");
  port.pcap_rx = reader.text("pcapRx");
  port.pcap_tx = reader.text("pcapTx");
  port.memif_id = static_cast<uint32_t>(reader.number("memifId", 0, UINT32_MAX));
  port.memif_server = reader.flag("memifServer", true);
  port.mac = reader.mac("mac");
  port.peer_mac = reader.mac("peerMac");
  port.mtu = static_cast<uint16_t>(reader.number("mtu", 1500, 9600));
  if (port.mtu < 576) reader.fail(path + "/mtu", "must be at least 576 (1280 to carry IPv6)");
  port.addresses = read_addresses(reader, "addresses");
  port.peer_addresses = read_addresses(reader, "peerAddresses");
  port.peer_kept = reader.flag("peerKept");
  port.peer_default_route = reader.flag("peerDefaultRoute");
  port.peer_routes = read_addresses(reader, "peerRoutes");
  port.proxy = reader.flag("proxy");
  port.host = reader.flag("host");
  port.vni = static_cast<uint32_t>(reader.number("vni", 0, 0xffffff));
  port.local = reader.address("local").value_or(IpAddress{});
  port.udp_port = static_cast<uint16_t>(reader.number("udpPort", 4789, UINT16_MAX));
  port.table = static_cast<uint16_t>(reader.number("table", 0, UINT16_MAX));
  if (port.kind == PortKind::Vxlan && port.local.family == 0) {
    reader.fail(path + "/local", "a vxlan port needs the outer source address");
  }
  return port;
}

NextHopConfig read_next_hop(const Json& json, const std::string& path, MaybeError& error) {
  JsonReader reader(json, path, error);
  NextHopConfig hop;
  hop.port = reader.text("port");
  hop.gateway = reader.address("gateway");
  hop.remote = reader.address("remote");
  hop.mac = reader.mac("mac");
  hop.weight = static_cast<uint32_t>(reader.number("weight", 1, 256));
  return hop;
}

RouteConfig read_route(const Json& json, const std::string& path, MaybeError& error) {
  JsonReader reader(json, path, error);
  RouteConfig route;
  route.table = static_cast<uint16_t>(reader.number("table", 0, UINT16_MAX));
  route.prefix = reader.prefix("prefix").value_or(IpPrefix{});
  route.blackhole = reader.flag("blackhole");
  route.local = reader.flag("local");
  reader.each("nextHops", [&](const Json& element, const std::string& at) {
    route.next_hops.push_back(read_next_hop(element, at, error));
  });
  if (!route.blackhole && !route.local && route.next_hops.empty()) {
    reader.fail(path + "/nextHops", "a route needs a next hop, or blackhole: true, or local: true");
  }
  return route;
}

NeighbourConfig read_neighbour(const Json& json, const std::string& path, MaybeError& error) {
  JsonReader reader(json, path, error);
  NeighbourConfig neighbour{reader.text("port"), reader.address("address").value_or(IpAddress{}),
                            reader.mac("mac").value_or(rte_ether_addr{})};
  if (neighbour.address.family == 0) reader.fail(path + "/address", "a neighbour needs an address");
  if (rte_is_zero_ether_addr(&neighbour.mac) != 0) reader.fail(path + "/mac", "a neighbour needs a MAC address");
  return neighbour;
}

PluginConfig read_plugin(const Json& json, const std::string& path, std::vector<std::string>& configs,
                         MaybeError& error) {
  JsonReader reader(json, path, error);
  PluginConfig plugin;
  plugin.name = reader.text("name");
  plugin.digest = reader.text("digest");
  if (reader.find("config") != nullptr) {
    const uint64_t number = reader.number("config", 0, UINT32_MAX);
    if (number < configs.size()) {
      plugin.config = std::move(configs[number]);
    } else {
      reader.fail(reader.at("config"), "no configuration has this number");
    }
  }
  plugin.failure = one_of(reader, "failure", kStrategies, FailureStrategy::FailClosed);
  plugin.budget_us = static_cast<uint32_t>(reader.number("budgetUs", 10000, 1000000));
  plugin.scope = read_names(reader, "scope");
  plugin.reset_flow_state = reader.flag("resetFlowState");
  if (plugin.name.empty()) reader.fail(path + "/name", "a plugin needs a name");
  if (plugin.digest.empty()) reader.fail(path + "/digest", "a plugin needs its module's digest");
  return plugin;
}

ConntrackConfig read_conntrack(const Json& json, const std::string& path, MaybeError& error) {
  JsonReader reader(json, path, error);
  ConntrackConfig conntrack;
  conntrack.max_flows = static_cast<uint32_t>(reader.number("maxFlows", conntrack.max_flows, 1U << 24));
  conntrack.file = reader.text("file");
  const Json* timeouts = reader.find("timeouts", Json::value_t::object, "an object of seconds by name");
  if (timeouts == nullptr) return conntrack;
  for (const auto& [name, seconds] : timeouts->items()) {
    JsonReader entries(*timeouts, path + "/timeouts", error);
    conntrack.timeouts.emplace_back(name, static_cast<uint32_t>(entries.number(name.c_str(), 0, 7 * 86400)));
  }
  return conntrack;
}

template <typename Item>
void refuse_double_names(const std::vector<Item>& items, const std::string& path, MaybeError& error) {
  std::set<std::string> names;
  for (size_t i = 0; i < items.size() && !error; i++) {
    if (names.insert(items[i].name).second) continue;
    error =
        Error{"invalid-state", path + "/" + std::to_string(i) + "/name", "\"" + items[i].name + "\" is there twice"};
  }
}

void read_pipeline(const Json& json, DesiredState& state, MaybeError& error) {
  JsonReader reader(json, "/pipeline", error);
  for (size_t hook = 0; hook < state.pipeline.size(); hook++) {
    state.pipeline[hook] = read_names(reader, kHookNames[hook]);
  }
}

void refuse_unknown_stages(const DesiredState& state, MaybeError& error) {
  std::set<std::string> known;
  for (const auto& plugin : state.plugins) known.insert(plugin.name);
  for (size_t hook = 0; hook < state.pipeline.size(); hook++) {
    for (size_t i = 0; i < state.pipeline[hook].size() && !error; i++) {
      const std::string& name = state.pipeline[hook][i];
      if (known.count(name) != 0) continue;
      error = Error{"invalid-state", std::string("/pipeline/") + kHookNames[hook] + "/" + std::to_string(i),
                    "no plugin is called \"" + name + "\""};
    }
  }
}

auto key_of(const IpAddress& address) {
  return std::make_tuple(address.family, address.bytes);
}

/// How a list of the state is read: what tells its items apart, one item, and the key of one that is to be removed.
struct PortList {
  static auto key(const PortConfig& port) { return port.name; }
  PortConfig item(const Json& json, const std::string& path) { return read_port(json, path, error); }
  std::string removed(const Json& json, const std::string&) { return json.is_string() ? json.get<std::string>() : ""; }
  MaybeError& error;
};

struct PluginList {
  static auto key(const PluginConfig& plugin) { return plugin.name; }
  PluginConfig item(const Json& json, const std::string& path) { return read_plugin(json, path, configs, error); }
  std::string removed(const Json& json, const std::string&) { return json.is_string() ? json.get<std::string>() : ""; }
  MaybeError& error;
  std::vector<std::string>& configs;
};

struct RouteList {
  static auto key(const RouteConfig& route) {
    return std::make_tuple(route.table, route.prefix.length, key_of(route.prefix.address));
  }
  RouteConfig item(const Json& json, const std::string& path) { return read_route(json, path, error); }
  auto removed(const Json& json, const std::string& path) {
    JsonReader reader(json, path, error);
    RouteConfig route;
    route.table = static_cast<uint16_t>(reader.number("table", 0, UINT16_MAX));
    route.prefix = reader.prefix("prefix").value_or(IpPrefix{});
    return key(route);
  }
  MaybeError& error;
};

struct NeighbourList {
  static auto key(const NeighbourConfig& neighbour) {
    return std::make_tuple(neighbour.port, key_of(neighbour.address));
  }
  NeighbourConfig item(const Json& json, const std::string& path) { return read_neighbour(json, path, error); }
  auto removed(const Json& json, const std::string& path) {
    JsonReader reader(json, path, error);
    return key({reader.text("port"), reader.address("address").value_or(IpAddress{}), {}});
  }
  MaybeError& error;
};

/// Each in the place of what has its key, or last. Of a list of thousands few are set. Returns their places.
template <typename Item, typename Key, typename KeyOf>
std::vector<size_t> put(std::vector<Item>& items, std::vector<Item> set, const std::map<Key, size_t>& known,
                        KeyOf key_of_item) {
  std::vector<size_t> places(set.size(), SIZE_MAX);
  if (set.empty()) return places;
  for (size_t i = 0; i < items.size(); i++) {
    const auto found = known.find(key_of_item(items[i]));
    if (found != known.end()) places[found->second] = i;
  }
  for (size_t i = 0; i < set.size(); i++) {
    if (places[i] != SIZE_MAX) {
      items[places[i]] = std::move(set[i]);
      continue;
    }
    places[i] = items.size();
    items.push_back(std::move(set[i]));
  }
  return places;
}

template <typename Item, typename List>
void change_list(JsonReader& change, const std::string& path, std::vector<Item>& items, List list) {
  using Key = decltype(List::key(items[0]));
  std::set<Key> removed;
  change.each("remove", [&](const Json& json, const std::string& at) { removed.insert(list.removed(json, at)); });
  if (!removed.empty()) {
    const auto is_removed = [&](const Item& item) { return removed.count(List::key(item)) != 0; };
    items.erase(std::remove_if(items.begin(), items.end(), is_removed), items.end());
  }
  std::vector<Item> set;                           // of one key the last, in the place of the first
  std::map<Key, size_t> known;                     // in `set`
  std::optional<std::pair<size_t, size_t>> wrong;  // which of them is, and how long its pointer into the change was
  change.each("set", [&](const Json& json, const std::string& at) {
    const bool was_right = !list.error;
    Item item = list.item(json, at);
    const auto [found, is_new] = known.insert({List::key(item), set.size()});
    if (was_right && list.error) wrong = {found->second, at.size()};
    if (is_new) {
      set.push_back(std::move(item));
    } else {
      set[found->second] = std::move(item);
    }
  });
  const std::vector<size_t> places = put(items, std::move(set), known, List::key);
  // Who reads the error knows the whole list.
  if (!wrong) return;
  list.error->path = path + "/" + std::to_string(places[wrong->first]) + list.error->path.substr(wrong->second);
}

template <typename Item, typename List>
void read_list(JsonReader& reader, const char* key, std::vector<Item>& items, List list) {
  const Json* given = reader.find(key);
  if (given == nullptr) return;
  if (given->is_object()) {
    JsonReader change(*given, reader.at(key), list.error);
    change_list(change, reader.at(key), items, std::move(list));
    return;
  }
  items.clear();
  reader.each(key, [&](const Json& json, const std::string& path) { items.push_back(list.item(json, path)); });
}

bool same_in_routing(const PortConfig& a, const PortConfig& b) {
  return std::tie(a.name, a.kind, a.mtu, a.addresses, a.proxy, a.host, a.vni, a.local, a.udp_port, a.table) ==
             std::tie(b.name, b.kind, b.mtu, b.addresses, b.proxy, b.host, b.vni, b.local, b.udp_port, b.table) &&
         same_mac(a.mac, b.mac);
}

bool same_next_hop(const NextHopConfig& a, const NextHopConfig& b) {
  return std::tie(a.port, a.gateway, a.remote, a.weight) == std::tie(b.port, b.gateway, b.remote, b.weight) &&
         same_mac(a.mac, b.mac);
}

bool same_route(const RouteConfig& a, const RouteConfig& b) {
  return std::tie(a.table, a.prefix, a.blackhole, a.local) == std::tie(b.table, b.prefix, b.blackhole, b.local) &&
         std::equal(a.next_hops.begin(), a.next_hops.end(), b.next_hops.begin(), b.next_hops.end(), same_next_hop);
}

bool same_neighbour(const NeighbourConfig& a, const NeighbourConfig& b) {
  return a.port == b.port && a.address == b.address && same_mac(a.mac, b.mac);
}

}  // namespace

bool same_mac(const std::optional<rte_ether_addr>& a, const std::optional<rte_ether_addr>& b) {
  return a.has_value() == b.has_value() && (!a || rte_is_same_ether_addr(&*a, &*b) != 0);
}

bool same_routing(const DesiredState& a, const DesiredState& b) {
  const auto same = [](const auto& left, const auto& right, auto same_item) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), same_item);
  };
  return same(a.ports, b.ports, same_in_routing) && same(a.routes, b.routes, same_route) &&
         same(a.neighbours, b.neighbours, same_neighbour);
}

Result<DesiredState> parse_desired_state(const std::string& text) {
  return read_state(text, {}, {}, 0);
}

Result<DesiredState> read_state(const std::string& text, std::vector<std::string> configs, const DesiredState& base,
                                uint64_t generation) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{"invalid-state", "", "the desired state is no JSON text"};
  MaybeError error;
  JsonReader reader(json, "", error);
  const bool is_change = reader.find("base") != nullptr;
  if (is_change && reader.number("base", 0, UINT64_MAX) != generation) {
    return Error{"stale-base", "/base", "what is in force is of generation " + std::to_string(generation)};
  }
  DesiredState state = is_change ? base : DesiredState{};
  read_list(reader, "ports", state.ports, PortList{error});
  read_list(reader, "routes", state.routes, RouteList{error});
  read_list(reader, "neighbours", state.neighbours, NeighbourList{error});
  read_list(reader, "plugins", state.plugins, PluginList{error, configs});
  refuse_double_names(state.ports, "/ports", error);
  refuse_double_names(state.plugins, "/plugins", error);
  if (const Json* pipeline = reader.find("pipeline", Json::value_t::object, "an object of hooks")) {
    read_pipeline(*pipeline, state, error);
  }
  refuse_unknown_stages(state, error);
  if (const Json* conntrack = reader.find("conntrack", Json::value_t::object, "an object")) {
    state.conntrack = read_conntrack(*conntrack, "/conntrack", error);
  }
  if (error) return *error;
  return state;
}

}  // namespace sluice
