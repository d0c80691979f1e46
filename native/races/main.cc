// A node under the thread sanitizer: packets go through two workers while its control thread changes all that can be
// changed, and another one reads all that can be read. The sanitizer ends the program with 66 when it found something.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>

#include "changes.h"
#include "control/dataplane.h"
#include "failed.h"
#include "traffic.h"
#include "unseen.h"
#include "watching.h"

namespace sluice::races {
namespace {

constexpr uint32_t kRoundsOfShort = 60;

std::unique_ptr<Dataplane> start() {
  StartOptions options;
  options.eal.name = "races";
  options.eal.memory_mb = 256;
  options.eal.hugepages = Hugepages::Never;
  options.workers = 2;
  options.buffers = 16384;
  options.jumbos = 64;
  return value_of("start", Dataplane::start(options));
}

void run(uint32_t rounds) {
  show_what_is_unseen();
  const auto dataplane = start();
  Changes changes(*dataplane);
  changes.make(0);
  std::atomic<bool> over{false};
  Traffic traffic(*dataplane);
  Watching watching(*dataplane);
  std::thread sending([&] {
    while (!over) traffic.send();
    traffic.finish();
  });
  std::thread reading([&] {
    while (!over) watching.look();
  });
  for (uint32_t round = 1; round <= rounds; round++) changes.make(round);
  over = true;
  sending.join();
  reading.join();
  changes.unmake();
  check_all_buffers_are_back(*dataplane);
  dataplane->stop();
  std::cout << rounds << " changes, " << watching.looks() << " looks, " << traffic.sent() << " packets in, "
            << traffic.received() << " out" << std::endl;
  if (traffic.received() < traffic.sent() / 4) fail("most packets were lost");
}

}  // namespace
}  // namespace sluice::races

int main(int count, char** arguments) {
  const long rounds = count > 1 ? std::atol(arguments[1]) : sluice::races::kRoundsOfShort;
  if (rounds <= 0) {
    std::cerr << "usage: sluice_races [CHANGES]" << std::endl;
    return 2;
  }
  sluice::races::run(static_cast<uint32_t>(rounds));
  return 0;
}
