#include "guard_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace sluice::uplink {

namespace {

Error failed(const std::string& path, const std::string& what) {
  return Error{"guard-failed", path, what + ": " + std::strerror(errno)};
}

int open_lock_file(const std::string& record_path) {
  return open((record_path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

struct flock write_lock(off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

constexpr pid_t kNobody = -1;
constexpr pid_t kUnseen = 0;  ///< somebody, but of another PID namespace

/// Who holds a lock in that range.
pid_t holder_of(int file, struct flock range) {
  return fcntl(file, F_GETLK, &range) != 0 || range.l_type == F_UNLCK ? kNobody : range.l_pid;
}

/// Returns once the process that holds a lock in that range is gone. Who holds it is asked again, since the number may
/// be another process's by the time that it is opened.
Status end_holder(const std::string& path, int file, const struct flock& range, pid_t holder) {
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, holder, 0)));
  if (process.number() < 0 && errno == ESRCH) return {};
  if (process.number() < 0) return failed(path, "guard " + std::to_string(holder) + " cannot be opened");
  if (holder_of(file, range) != holder) return {};
  if (syscall(SYS_pidfd_send_signal, process.number(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return failed(path, "guard " + std::to_string(holder) + " cannot be ended");
  }
  pollfd end{process.number(), POLLIN, 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  return {};
}

}  // namespace

Result<GuardLock> GuardLock::take_over(const std::string& record_path, pid_t watched) {
  GuardLock lock(open_lock_file(record_path));
  if (lock.file_.number() < 0) return failed(record_path, "opening its lock file");
  struct flock place = write_lock(watched, 1);
  while (fcntl(lock.file_.number(), F_SETLK, &place) != 0) {
    if (errno != EACCES && errno != EAGAIN) return failed(record_path, "locking a guard's place");
    const pid_t holder = holder_of(lock.file_.number(), place);
    if (holder == kUnseen) break;  // both guard: the first of them gives back
    if (holder == kNobody) continue;
    if (Status ended = end_holder(record_path, lock.file_.number(), place, holder); !ended) return ended.error();
  }
  return lock;
}

Status end_guards(const std::string& record_path) {
  const Descriptor file(open_lock_file(record_path));
  if (file.number() < 0) return failed(record_path, "opening its lock file");
  const struct flock everything = write_lock(0, 0);
  for (pid_t holder; (holder = holder_of(file.number(), everything)) > kUnseen;) {
    if (Status ended = end_holder(record_path, file.number(), everything, holder); !ended) return ended;
  }
  return {};
}

}  // namespace sluice::uplink
