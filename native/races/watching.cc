#include "watching.h"

#include "failed.h"

namespace sluice::races {

void Watching::look() {
  dataplane_.status();
  trace();
  value_of("drops", dataplane_.drops());
  capture();
  value_of("flows", dataplane_.flows(R"({"max": 2000})"));
  value_of("profile", dataplane_.profile(R"({"plugin": "moving", "durationMs": 20, "hertz": 500})"));
  looks_++;
}

void Watching::trace() {
  const uint32_t id = value_of("start_trace", dataplane_.start_trace(R"({"filter": "", "packets": 100})"));
  for (int i = 0; i < 3; i++) value_of("read_trace", dataplane_.read_trace(id));
  dataplane_.status();
  value_of("read_trace", dataplane_.read_trace(id));
  if (!dataplane_.stop_observing(id)) fail("a trace cannot be stopped");
}

void Watching::capture() {
  const uint32_t id =
      value_of("start_capture",
               dataplane_.start_capture(
                   R"({"filter": "udp", "points": ["rx", "tx", "drop", "forward"], "ports": [], "snapLength": 64})"));
  for (int i = 0; i < 4; i++) value_of("read_capture", dataplane_.read_capture(id, 100));
  if (!dataplane_.stop_observing(id)) fail("a capture cannot be stopped");
}

}  // namespace sluice::races
