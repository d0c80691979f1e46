#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "field.h"
#include "invocation.h"

namespace sluice::cni {

/// Versions of the specification, oldest first.
const std::vector<std::string>& supported_versions();
/// True when `version`, a supported one, is `other` or a later one.
bool at_least(const std::string& version, const std::string& other);

struct PortMapping {
  uint32_t host_port, container_port;
  std::string protocol;  ///< lower case
  std::string host_ip;   ///< empty: all
};

struct Attachment {
  std::string container_id, ifname;
};

/// The network configuration that a runtime gives on standard input.
struct Configuration {
  std::string version = "1.1.0";
  std::string name;
  std::string socket = "/run/sluice/cni.sock";
  std::string log_file;  ///< empty: none
  std::chrono::seconds timeout{60};
  std::vector<PortMapping> port_mappings;
  Json previous;                  ///< result of the plugin before, in the form of `version`; null where there is none
  Json dns;                       ///< null where there is none
  std::vector<Attachment> valid;  ///< GC: what stays
};

/// Checks all that `command` goes by. Throws a Failure: incompatible version, decoding, unsupported field, invalid
/// configuration. DEL and GC must not fail for what they have no use for: they look at no other field.
Configuration read_configuration(const std::string& text, Command command);

/// The version that `text` asks for, for the answer to VERSION and error results; the latest where it has none.
std::string asked_version(const std::string& text);

}  // namespace sluice::cni
