#pragma once

#include <chrono>
#include <string>

#include "failure.h"
#include "invocation.h"

namespace sluice::cni {

/// One JSON line a call: failures on standard error, and every call in the log file where there is one. A file that
/// cannot be written is said on standard error and is no failure of the call.
class CallLog {
 public:
  void about(const Invocation& invocation) { invocation_ = invocation; }
  void file(const std::string& path) { file_ = path; }
  void succeeded() const;
  void failed(const Failure& failure) const;

 private:
  std::string line(const Failure* failure) const;
  void append(const std::string& line) const;

  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Invocation invocation_;
  std::string file_;
};

}  // namespace sluice::cni
