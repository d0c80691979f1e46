#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "guard.h"
#include "guard_lock.h"
#include "take.h"
#include "watch.h"

namespace sluice::uplink {
namespace {

using Options = std::map<std::string, std::string>;
using Json = nlohmann::json;

constexpr const char* kUsage =
    "usage: sluice-uplink take --device NAME --record FILE --netns PATH --owner PID\n"
    "       sluice-uplink give-back --record FILE\n"
    "       sluice-uplink guard --record FILE --pid PID\n"
    "       sluice-uplink watch --folder DIR\n"
    "Takes a node's interface for the dataplane, and gives it back: moves it to the network namespace PATH and puts\n"
    "a TAP in its place, with its name, MAC, addresses and routes. FILE records what was taken until it is back.\n"
    "guard gives back when the process ends, unless another one owns it by then; watch does so for all records\n"
    "uplink-*.json of a folder and whoever owns them. In trouble, give-back is all that a person needs.\n";

/// Empty where an argument is no option of the command, or one is missing.
Options read_options(int count, char** arguments, const std::vector<std::string>& names) {
  Options options;
  for (int i = 2; i + 1 < count; i += 2) options[arguments[i]] = arguments[i + 1];
  const bool paired = count % 2 == 0;
  for (const std::string& name : names) {
    if (options.count(name) == 0) return {};
  }
  return paired && options.size() == names.size() ? options : Options();
}

int usage() {
  std::cerr << kUsage;
  return 2;
}

int report(const Status& status) {
  if (status) return 0;
  const Error& error = status.error();
  std::cerr << Json({{"code", error.code}, {"path", error.path}, {"message", error.message}}).dump() << std::endl;
  return 1;
}

int run_take(const Options& options) {
  auto taken = take(options.at("--device"), options.at("--record"), options.at("--netns"),
                    std::atoll(options.at("--owner").c_str()));
  if (!taken) return report(taken.error());
  const Record& record = taken.value();
  std::cout << Json({{"mac", record.settings.mac}, {"mtu", record.settings.mtu}}).dump() << std::endl;
  return 0;
}

int run_give_back(const std::string& record) {
  const Status given = give_back(record);
  return report(given ? end_guards(record) : given);
}

int run(int count, char** arguments) {
  const std::string command = count > 1 ? arguments[1] : "";
  if (command == "--help") {
    std::cout << kUsage;
    return 0;
  }
  const std::map<std::string, std::vector<std::string>> commands = {
      {"take", {"--device", "--record", "--netns", "--owner"}},
      {"give-back", {"--record"}},
      {"guard", {"--record", "--pid"}},
      {"watch", {"--folder"}}};
  const auto known = commands.find(command);
  if (known == commands.end()) return usage();
  const Options options = read_options(count, arguments, known->second);
  if (options.empty()) return usage();
  if (command == "take") return run_take(options);
  if (command == "give-back") return run_give_back(options.at("--record"));
  if (command == "watch") return report(watch(options.at("--folder")));
  const int pid = std::atoi(options.at("--pid").c_str());
  return pid > 0 ? report(guard(pid, options.at("--record"))) : usage();
}

}  // namespace
}  // namespace sluice::uplink

int main(int count, char** arguments) {
  return sluice::uplink::run(count, arguments);
}
