#pragma once

#include <sys/types.h>

#include <string>

#include "core/descriptor.h"
#include "core/error.h"

namespace sluice::uplink {

/// One guard of a record for each process that is watched. Held by a write lock (fcntl) on the byte of the record's
/// lock file whose place is the watched process's number, for as long as the guard lives.
class GuardLock {
 public:
  /// Ends the guard of this process that there is, if any, and takes its place.
  static Result<GuardLock> take_over(const std::string& record_path, pid_t watched);

 private:
  explicit GuardLock(int file) : file_(file) {}
  Descriptor file_;
};

/// Ends all guards of a record, whatever they watch: there is nothing left to give back.
Status end_guards(const std::string& record_path);

}  // namespace sluice::uplink
