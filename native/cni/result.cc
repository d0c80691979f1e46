#include "result.h"

namespace sluice::cni {

namespace {

/// Appends to an array of the result, which may not be there yet.
Json& array_of(Json& result, const char* key) {
  Json& array = result[key];
  if (array.is_null()) array = Json::array();
  return array;
}

const char* family_of(const std::string& address) {
  return address.find(':') == std::string::npos ? "4" : "6";
}

Json interface_entry(const v1::Interface& interface, const std::string& netns, const std::string& version) {
  Json entry = {{"name", interface.name()}, {"sandbox", netns}};
  if (!interface.mac().empty()) entry["mac"] = interface.mac();
  if (!at_least(version, "1.1.0")) return entry;
  if (interface.mtu() != 0) entry["mtu"] = interface.mtu();
  if (!interface.socket_path().empty()) entry["socketPath"] = interface.socket_path();
  return entry;
}

Json address_entry(const v1::Address& address, size_t interface, const std::string& version) {
  Json entry = {{"address", address.address()}, {"interface", interface}};
  if (!address.gateway().empty()) entry["gateway"] = address.gateway();
  if (!at_least(version, "1.0.0")) entry["version"] = family_of(address.address());
  return entry;
}

Json route_entry(const v1::Route& route) {
  Json entry = {{"dst", route.destination()}};
  if (!route.gateway().empty()) entry["gw"] = route.gateway();
  return entry;
}

}  // namespace

Json add_result(const Configuration& configuration, const std::string& netns, const v1::AddResponse& added) {
  const std::string& version = configuration.version;
  Json result = configuration.previous.is_null() ? Json::object() : configuration.previous;
  result["cniVersion"] = version;
  Json& interfaces = array_of(result, "interfaces");
  Json& addresses = array_of(result, "ips");
  Json& routes = array_of(result, "routes");
  for (const auto& interface : added.interfaces()) {
    for (const auto& address : interface.addresses()) {
      addresses.push_back(address_entry(address, interfaces.size(), version));
    }
    interfaces.push_back(interface_entry(interface, netns, version));
  }
  for (const auto& route : added.routes()) routes.push_back(route_entry(route));
  if (result.find("dns") == result.end()) {
    result["dns"] = configuration.dns.is_null() ? Json::object() : configuration.dns;
  }
  return result;
}

std::vector<std::string> previous_addresses(const Json& previous, const std::string& netns, const std::string& ifname) {
  const Field result(previous, "prevResult");
  const auto interfaces = result.at("interfaces").elements();
  std::vector<std::string> addresses;
  bool found = false;
  for (size_t i = 0; i < interfaces.size(); i++) {
    if (interfaces[i].at("name").text() != ifname || interfaces[i].at("sandbox").value() != netns) continue;
    found = true;
    for (const Field& entry : result.at("ips").elements()) {
      if (entry.at("interface").value() == i) addresses.push_back(entry.at("address").text());
    }
  }
  if (!found) result.at("interfaces").refuse("a list with " + ifname + " in " + netns);
  return addresses;
}

Json version_result(const std::string& asked) {
  return {{"cniVersion", asked}, {"supportedVersions", supported_versions()}};
}

Json error_result(const std::string& version, const Failure& failure) {
  Json result = {{"cniVersion", version}, {"code", failure.code()}, {"msg", failure.what()}};
  if (!failure.details().empty()) result["details"] = failure.details();
  return result;
}

}  // namespace sluice::cni
