#include "invocation.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "failure.h"
#include "names.h"
#include "netns.h"

namespace sluice::cni {

namespace {

const std::map<std::string, Command> kCommands = {{"ADD", Command::Add},     {"DEL", Command::Del},
                                                  {"CHECK", Command::Check}, {"STATUS", Command::Status},
                                                  {"GC", Command::Gc},       {"VERSION", Command::Version}};

std::string variable(Environment environment, const char* name) {
  const char* value = environment(name);
  return value != nullptr ? value : "";
}

[[noreturn]] void refuse(const std::string& name, const std::string& allowed, const std::string& found) {
  throw Failure(code::kInvalidEnvironment,
                name + ": must be " + allowed + ", found " + (found.empty() ? "nothing" : "\"" + found + "\""));
}

Command read_command(const std::string& name) {
  const auto found = kCommands.find(name);
  if (found == kCommands.end()) refuse("CNI_COMMAND", "one of ADD, DEL, CHECK, STATUS, GC, VERSION", name);
  return found->second;
}

/// A network namespace other than the plugin's own.
void check_netns(const std::string& path, Environment environment) {
  if (path.empty()) refuse("CNI_NETNS", "the path of a network namespace", path);
  if (!is_netns(path)) {
    throw Failure(code::kInvalidNetns, "CNI_NETNS: " + path + " is no network namespace", "is the container gone?");
  }
  if (is_own_netns(path) && variable(environment, "CNI_NETNS_OVERRIDE") != "true") {
    throw Failure(code::kInvalidNetns, "CNI_NETNS: " + path + " is the node's own network namespace",
                  "a pod in the node's network needs no CNI");
  }
}

void read_argument(const std::string& key, const std::string& value, bool strict, Invocation& invocation) {
  if (key == "K8S_POD_NAMESPACE") {
    invocation.pod_namespace = value;
  } else if (key == "K8S_POD_NAME") {
    invocation.pod_name = value;
  } else if (key == "K8S_POD_UID") {
    invocation.pod_uid = value;
  } else if (strict && key != "K8S_POD_INFRA_CONTAINER_ID" && key != "IgnoreUnknown") {
    throw Failure(code::kInvalidEnvironment, "CNI_ARGS: unknown argument " + key, "or add IgnoreUnknown=1");
  }
}

/// KEY=VALUE pairs, separated by semicolons.
void read_arguments(const std::string& text, Invocation& invocation) {
  std::map<std::string, std::string> arguments;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(';', start), text.size());
    const std::string pair = text.substr(start, end - start);
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) refuse("CNI_ARGS", "KEY=VALUE pairs with semicolons between", text);
    arguments[pair.substr(0, equals)] = pair.substr(equals + 1);
    start = end + 1;
  }
  std::string lenient = arguments["IgnoreUnknown"];
  std::transform(lenient.begin(), lenient.end(), lenient.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool strict = lenient != "1" && lenient != "true" && lenient != "t";
  for (const auto& [key, value] : arguments) read_argument(key, value, strict, invocation);
}

}  // namespace

Invocation read_invocation(Environment environment) {
  Invocation invocation;
  invocation.name = variable(environment, "CNI_COMMAND");
  invocation.command = read_command(invocation.name);
  const Command command = invocation.command;
  if (command != Command::Add && command != Command::Del && command != Command::Check) return invocation;

  invocation.container_id = variable(environment, "CNI_CONTAINERID");
  if (!is_identifier(invocation.container_id)) refuse("CNI_CONTAINERID", kIdentifier, invocation.container_id);
  invocation.ifname = variable(environment, "CNI_IFNAME");
  if (!is_interface_name(invocation.ifname)) refuse("CNI_IFNAME", kInterfaceName, invocation.ifname);
  invocation.netns = variable(environment, "CNI_NETNS");
  if (command != Command::Del) {
    check_netns(invocation.netns, environment);
  } else if (!invocation.netns.empty() && !is_netns(invocation.netns)) {
    invocation.netns.clear();
  }
  if (command == Command::Add) read_arguments(variable(environment, "CNI_ARGS"), invocation);
  return invocation;
}

}  // namespace sluice::cni
