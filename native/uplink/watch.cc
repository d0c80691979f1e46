#include "watch.h"

#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <thread>
#include <vector>

#include "take.h"

namespace sluice::uplink {

namespace {

constexpr auto kPause = std::chrono::milliseconds(200);
/// Giving back can fail while the machine is short of something; at the end there is not for ever.
constexpr int kLastAttempts = 60;

volatile std::sig_atomic_t ending = 0;

std::vector<std::string> records(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code absent;  // the dataplane makes the folder
  for (const auto& file : std::filesystem::directory_iterator(folder, absent)) {
    const std::string name = file.path().filename();
    if (name.rfind("uplink-", 0) == 0 && file.path().extension() == ".json") paths.push_back(file.path());
  }
  return paths;
}

bool is_gone(int64_t process) {
  return kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
}

/// Of one record, where its owner is gone.
Status give_back_lost(const std::string& path) {
  auto record = read_record(path);
  if (!record) return record.error();
  if (!record.value() || !is_gone(record.value()->owner)) return {};
  const std::string device = record.value()->device;
  Status given = give_back(path, record.value()->owner);
  if (given) std::cerr << "gave " << device << " back: the dataplane ended" << std::endl;
  return given;
}

Status give_back_all_lost(const std::string& folder) {
  Status all;
  for (const std::string& path : records(folder)) {
    if (Status given = give_back_lost(path); !given) all = given;
  }
  return all;
}

void report(const Error& error) {
  std::cerr << error.path << ": " << error.message << std::endl;
}

}  // namespace

Status watch(const std::string& folder) {
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { ending = 1; });
  std::string told;
  while (ending == 0) {
    const Status given = give_back_all_lost(folder);
    const std::string trouble = given ? "" : given.error().message;
    if (!given && trouble != told) report(given.error());
    told = trouble;
    std::this_thread::sleep_for(kPause);
  }
  Status last = give_back_all_lost(folder);
  for (int attempt = 1; !last && attempt < kLastAttempts; attempt++) {
    std::this_thread::sleep_for(kPause);
    last = give_back_all_lost(folder);
  }
  return last;
}

}  // namespace sluice::uplink
