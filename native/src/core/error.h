#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace sluice {

/// What was wrong, where, and what to do. Control path only: packets are counted under a DropReason instead.
struct Error {
  std::string code;     ///< stable, kebab-case: "module-wrong-abi", "port-open-failed"
  std::string path;     ///< where: a JSON pointer into the desired state ("/ports/2/mac"), a file, or empty
  std::string message;  ///< one sentence with the value found and what is allowed
};

/// A value or an Error; the control path's return type where something can be refused.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  T& value() { return std::get<T>(state_); }
  const T& value() const { return std::get<T>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success, or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace sluice
