#pragma once

#include <string>

namespace sluice::cni {

enum class Command { Add, Del, Check, Status, Gc, Version };

/// What a runtime says in the environment of one call.
struct Invocation {
  Command command = Command::Version;
  std::string name;  ///< the command as given: "ADD"
  std::string container_id, ifname;
  std::string netns;  ///< path; empty where there is none, or it is gone and the command can do without
  std::string pod_namespace, pod_name, pod_uid;
};

/// Looks up an environment variable; nullptr where it is not set.
using Environment = const char* (*)(const char* name);

/// Throws a Failure (invalid environment) that names the variable.
Invocation read_invocation(Environment environment);

}  // namespace sluice::cni
