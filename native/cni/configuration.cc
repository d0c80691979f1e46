#include "configuration.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <set>

#include "failure.h"
#include "names.h"

namespace sluice::cni {

namespace {

/// Fields that the specification gives to every plugin, and Sluice's own.
const std::set<std::string> kKnown = {"cniVersion",    "cniVersions",  "name",    "type",
                                      "args",          "capabilities", "dns",     "prevResult",
                                      "runtimeConfig", "socket",       "logFile", "timeoutSeconds"};
/// The specification keeps this prefix for what runtimes put in.
constexpr const char* kReserved = "cni.dev/";

const std::set<std::string> kProtocols = {"tcp", "udp", "sctp"};

void check_keys(const Field& configuration) {
  for (const std::string& key : configuration.keys()) {
    if (kKnown.count(key) != 0 || key.rfind(kReserved, 0) == 0) continue;
    const Field field = configuration.at(key);
    field.refuse_unsupported(key == "ipam" ? "Sluice hands out addresses itself, of its IPPool objects"
                                           : "remove it, or chain the plugin that it is for");
  }
}

void check_capabilities(const Field& configuration) {
  const auto unsupported = [](const Field& field) {
    field.refuse_unsupported("Sluice has the capability portMappings and no other; chain a plugin that has it");
  };
  const Field declared = configuration.at("capabilities");
  for (const std::string& key : declared.keys()) {
    if (declared.at(key).flag() && key != "portMappings") unsupported(declared.at(key));
  }
  const Field given = configuration.at("runtimeConfig");
  for (const std::string& key : given.keys()) {
    if (key != "portMappings" && given.at(key).present()) unsupported(given.at(key));
  }
}

bool is_address(const std::string& text) {
  in6_addr bytes;
  return inet_pton(text.find(':') == std::string::npos ? AF_INET : AF_INET6, text.c_str(), &bytes) == 1;
}

PortMapping read_port_mapping(const Field& field) {
  PortMapping mapping;
  mapping.host_port = field.at("hostPort").number(1, 65535);
  mapping.container_port = field.at("containerPort").number(1, 65535);
  mapping.protocol = field.at("protocol").text("tcp");
  std::transform(mapping.protocol.begin(), mapping.protocol.end(), mapping.protocol.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (kProtocols.count(mapping.protocol) == 0) field.at("protocol").refuse("tcp, udp or sctp");
  // Runtimes write an empty one for all addresses.
  if (field.at("hostIP").value() != "") mapping.host_ip = field.at("hostIP").text();
  if (!mapping.host_ip.empty() && !is_address(mapping.host_ip)) field.at("hostIP").refuse("an IPv4 or IPv6 address");
  return mapping;
}

void check_previous(const Field& previous) {
  const auto named = previous.at("interfaces").elements();
  for (const Field& interface : named) interface.at("name").required_text();
  const auto interfaces = static_cast<uint32_t>(named.size());
  for (const Field& address : previous.at("ips").elements()) {
    address.at("address").required_text();
    if (!address.at("interface").present()) continue;
    if (interfaces == 0) address.at("interface").refuse("absent where prevResult.interfaces is");
    address.at("interface").number(0, interfaces - 1);
  }
  for (const Field& route : previous.at("routes").elements()) route.at("dst").required_text();
}

std::vector<Attachment> read_valid(const Field& configuration) {
  Field list = configuration.at("cni.dev/valid-attachments");
  if (!list.present()) list.refuse("the list of attachments that stay (an empty one removes all)");
  std::vector<Attachment> valid;
  for (const Field& entry : list.elements()) {
    valid.push_back({entry.at("containerID").required_text(), entry.at("ifname").required_text()});
  }
  return valid;
}

std::string read_version(const Field& configuration) {
  const std::string version = configuration.at("cniVersion").text("0.1.0");
  const auto& known = supported_versions();
  if (std::find(known.begin(), known.end(), version) != known.end()) return version;
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  throw Failure(code::kIncompatibleVersion, "cniVersion: " + version + " is not supported", "Sluice supports " + list);
}

void check_command(Command command, const std::string& version) {
  const auto since = [&](const char* first, const char* name) {
    if (at_least(version, first)) return;
    throw Failure(code::kIncompatibleVersion, "cniVersion: " + version + " has no " + name,
                  std::string("it came with ") + first);
  };
  if (command == Command::Check) since("0.4.0", "CHECK");
  if (command == Command::Status) since("1.1.0", "STATUS");
  if (command == Command::Gc) since("1.1.0", "GC");
}

/// How to reach the agent.
void read_agent(const Field& root, Configuration& configuration) {
  const Field socket = root.at("socket");
  configuration.socket = socket.text(configuration.socket);
  if (configuration.socket[0] != '/' || configuration.socket.size() >= sizeof sockaddr_un::sun_path) {
    socket.refuse("an absolute path of at most 107 characters");
  }
  configuration.log_file = root.at("logFile").text();
  if (!configuration.log_file.empty() && configuration.log_file[0] != '/') {
    root.at("logFile").refuse("an absolute path");
  }
  configuration.timeout = std::chrono::seconds(root.at("timeoutSeconds").number(1, 600, 60));
}

/// What only the commands read that make an interface, or look at one.
void read_wishes(const Field& root, Configuration& configuration) {
  check_keys(root);
  check_capabilities(root);
  for (const Field& field : root.at("runtimeConfig").at("portMappings").elements()) {
    configuration.port_mappings.push_back(read_port_mapping(field));
  }
  const Field dns = root.at("dns");
  dns.keys();  // an object
  configuration.dns = dns.value();
  const Field previous = root.at("prevResult");
  check_previous(previous);
  configuration.previous = previous.value();
}

Json parse(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    throw Failure(code::kDecoding, "the network configuration on standard input is no JSON text",
                  text.empty() ? "it is empty" : "");
  }
  return json;
}

}  // namespace

const std::vector<std::string>& supported_versions() {
  static const std::vector<std::string> versions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  return versions;
}

bool at_least(const std::string& version, const std::string& other) {
  return version >= other;  // each number has one digit
}

Configuration read_configuration(const std::string& text, Command command) {
  const Json json = parse(text);
  const Field root(json, "");
  Configuration configuration;
  configuration.version = read_version(root);
  check_command(command, configuration.version);
  configuration.name = root.at("name").required_text();
  if (!is_identifier(configuration.name)) root.at("name").refuse(kIdentifier);
  read_agent(root, configuration);
  if (command == Command::Gc) configuration.valid = read_valid(root);
  if (command != Command::Del && command != Command::Gc) read_wishes(root, configuration);
  if (command == Command::Check && configuration.previous.is_null()) {
    root.at("prevResult").refuse("the result of ADD, which CHECK goes by");
  }
  return configuration;
}

std::string asked_version(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  const std::string latest = supported_versions().back();
  if (!json.is_object()) return latest;
  const auto found = json.find("cniVersion");
  return found != json.end() && found->is_string() ? found->get<std::string>() : latest;
}

}  // namespace sluice::cni
