#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

#include "commands.h"
#include "configuration.h"
#include "failure.h"
#include "log.h"
#include "result.h"

namespace sluice::cni {
namespace {

constexpr const char* kHelp =
    "sluice-cni " SLUICE_VERSION
    "\nSluice's CNI plugin, executed by a container runtime: CNI_COMMAND and its like in the environment, the network\n"
    "configuration on standard input, the result on standard output (CNI specification 1.1.0 and before).\n"
    "Fields of its own: socket (the agent's, /run/sluice/cni.sock), logFile (none), timeoutSeconds (60).\n";

/// A person at a terminal, no runtime. Returns true when that was all.
bool answer_person(int count, char** arguments) {
  if (count < 2) return false;
  const bool version = std::strcmp(arguments[1], "--version") == 0;
  if (!version && std::strcmp(arguments[1], "--help") != 0) return false;
  std::cout << (version ? SLUICE_VERSION "\n" : kHelp);
  return true;
}

void print(const Json& result) {
  std::cout << result.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl;
  if (!std::cout) throw Failure(code::kInputOutput, "the result cannot be written to standard output");
}

Json answer(CallLog& log, const std::string& input) {
  const Invocation invocation = read_invocation([](const char* name) -> const char* { return std::getenv(name); });
  log.about(invocation);
  if (invocation.command == Command::Version) return version_result(asked_version(input));
  const Configuration configuration = read_configuration(input, invocation.command);
  log.file(configuration.log_file);
  return run_command(invocation, configuration);
}

int run() {
  CallLog log;
  std::string input;
  try {
    input.assign(std::istreambuf_iterator<char>(std::cin), {});
    const Json result = answer(log, input);
    if (!result.is_null()) print(result);
    log.succeeded();
    return 0;
  } catch (const Failure& failure) {
    log.failed(failure);
    std::cout << error_result(asked_version(input), failure).dump(2, ' ', false, Json::error_handler_t::replace)
              << std::endl;
  } catch (const std::exception& unexpected) {
    const Failure failure(code::kInternal, unexpected.what(), "a defect of sluice-cni " SLUICE_VERSION);
    log.failed(failure);
    std::cout << error_result(asked_version(input), failure).dump(2, ' ', false, Json::error_handler_t::replace)
              << std::endl;
  }
  return 1;
}

}  // namespace
}  // namespace sluice::cni

int main(int count, char** arguments) {
  return sluice::cni::answer_person(count, arguments) ? 0 : sluice::cni::run();
}
