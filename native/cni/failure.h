#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace sluice::cni {

/// Codes of the CNI specification's error results; 0 to 99 are the specification's.
namespace code {
constexpr unsigned kIncompatibleVersion = 1;
constexpr unsigned kUnsupportedField = 2;
constexpr unsigned kInvalidEnvironment = 4;
constexpr unsigned kInputOutput = 5;
constexpr unsigned kDecoding = 6;
constexpr unsigned kInvalidConfiguration = 7;
constexpr unsigned kInvalidNetns = 8;
constexpr unsigned kTryAgainLater = 11;
constexpr unsigned kNotAvailable = 50;
/// Sluice's own, as the agent has them.
constexpr unsigned kInterfaceChanged = 100;
constexpr unsigned kInternal = 199;
}  // namespace code

/// A command's error result. The message says what was wrong and where, the details what to do or where it came from.
class Failure : public std::runtime_error {
 public:
  Failure(unsigned code, const std::string& message, std::string details = {})
      : std::runtime_error(message), code_(code), details_(std::move(details)) {}

  unsigned code() const { return code_; }
  const std::string& details() const { return details_; }

 private:
  unsigned code_;
  std::string details_;
};

}  // namespace sluice::cni
