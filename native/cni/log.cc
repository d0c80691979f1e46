#include "log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

namespace sluice::cni {

namespace {
// pino's levels, as in the logs of the agent and the dataplane.
constexpr int kInfo = 30;
constexpr int kError = 50;
}  // namespace

std::string CallLog::line(const Failure* failure) const {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  nlohmann::ordered_json entry;
  entry["level"] = failure != nullptr ? kError : kInfo;
  entry["time"] = duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  entry["pid"] = getpid();
  if (!invocation_.name.empty()) entry["command"] = invocation_.name;
  if (!invocation_.container_id.empty()) {
    entry["containerId"] = invocation_.container_id;
    entry["ifname"] = invocation_.ifname;
  }
  if (!invocation_.pod_name.empty()) entry["pod"] = invocation_.pod_namespace + "/" + invocation_.pod_name;
  entry["ms"] = duration_cast<milliseconds>(std::chrono::steady_clock::now() - started_).count();
  if (failure != nullptr) {
    entry["code"] = failure->code();
    entry["details"] = failure->details();
  }
  entry["msg"] = failure != nullptr ? failure->what() : "done";
  return entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// In one write, since calls run at once.
void CallLog::append(const std::string& line) const {
  if (file_.empty()) return;
  const int descriptor = open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0 || write(descriptor, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::cerr << "logFile " << file_ << " cannot be written: " << std::strerror(errno) << "\n";
  }
  if (descriptor >= 0) close(descriptor);
}

void CallLog::succeeded() const {
  append(line(nullptr));
}

void CallLog::failed(const Failure& failure) const {
  const std::string text = line(&failure);
  std::cerr << text;
  append(text);
}

}  // namespace sluice::cni
