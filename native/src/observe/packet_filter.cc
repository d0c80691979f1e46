#include "observe/packet_filter.h"

namespace sluice {

Result<PacketFilter> PacketFilter::compile(const std::string& text) {
  PacketFilter filter;
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return filter;
  if (text.size() > kLongest || text.find('\0') != std::string::npos) {
    return Error{"invalid-filter", "/filter",
                 "must be at most " + std::to_string(kLongest) + " characters, without NUL"};
  }
  struct Close {
    void operator()(pcap_t* handle) const { pcap_close(handle); }
  };
  constexpr int kSnapLength = 65535;
  const std::unique_ptr<pcap_t, Close> handle(pcap_open_dead(DLT_EN10MB, kSnapLength));
  if (handle == nullptr) return Error{"out-of-memory", "/filter", "no memory to compile the filter"};
  auto program = std::make_unique<bpf_program>();
  if (pcap_compile(handle.get(), program.get(), text.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
    return Error{"invalid-filter", "/filter", std::string("\"") + text + "\": " + pcap_geterr(handle.get())};
  }
  filter.program_.reset(program.release());
  if (filter.program_->bf_len > kMaxInstructions) {
    return Error{"invalid-filter", "/filter",
                 "is " + std::to_string(filter.program_->bf_len) + " instructions long; at most " +
                     std::to_string(kMaxInstructions) + " are run on each packet"};
  }
  return filter;
}

}  // namespace sluice
