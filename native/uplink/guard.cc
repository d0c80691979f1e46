#include "guard.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <thread>

#include "core/descriptor.h"
#include "guard_lock.h"
#include "take.h"

namespace sluice::uplink {

namespace {

/// Giving back can fail while the machine is short of something.
constexpr int kAttempts = 60;
constexpr auto kPause = std::chrono::seconds(1);

void wait_for_end(int process) {
  pollfd end{process, POLLIN, 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
}

Error failed(const std::string& what) {
  return {"guard-failed", "", what + ": " + std::strerror(errno)};
}

}  // namespace

Status guard(pid_t pid, const std::string& record_path) {
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (process.number() < 0 && errno != ESRCH) return failed("process " + std::to_string(pid) + " cannot be watched");
  // No child of the dataplane, which another program may take the place of that does not wait for it.
  const pid_t child = fork();
  if (child < 0) return failed("no process of its own");
  if (child > 0) return {};
  // What stops the dataplane may stop its whole group, or close the terminal.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
  const auto lock = GuardLock::take_over(record_path, pid);
  if (!lock) return lock.error();
  std::cout << getpid() << std::endl;
  if (process.number() >= 0) wait_for_end(process.number());
  Status given;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    given = give_back(record_path, pid);
    if (given) break;
    std::cerr << given.error().path << ": " << given.error().message << std::endl;
    std::this_thread::sleep_for(kPause);
  }
  return given;
}

}  // namespace sluice::uplink
