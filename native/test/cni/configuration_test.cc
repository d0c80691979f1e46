#include "configuration.h"

#include <gtest/gtest.h>

#include "failure.h"

namespace sluice::cni {
namespace {

struct Row {
  const char* what;
  Command command;
  const char* fields;  ///< besides name and type; a cniVersion of its own stands last and wins
  unsigned code;       ///< 0: accepted
  const char* message;
};

const Row kRows[] = {
    {"the least", Command::Add, R"()", 0, ""},
    {"the specification's fields", Command::Add,
     R"("capabilities":{"portMappings":true,"bandwidth":false},"args":{"x":1},"dns":{"nameservers":["10.0.0.1"]},
        "cni.dev/valid-attachments":[],"runtimeConfig":{})",
     0, ""},
    {"its own fields", Command::Add, R"("socket":"/run/x.sock","logFile":"/var/log/x","timeoutSeconds":5)", 0, ""},
    {"STATUS", Command::Status, R"()", 0, ""},
    {"GC with nothing that stays", Command::Gc, R"("cni.dev/valid-attachments":[])", 0, ""},
    {"DEL looks at nothing that it has no use for", Command::Del, R"("mtu":1,"runtimeConfig":7,"prevResult":[])", 0,
     ""},
    {"CHECK in 0.4.0", Command::Check, R"("cniVersion":"0.4.0","prevResult":{"interfaces":[]})", 0, ""},

    {"a later version", Command::Add, R"("cniVersion":"2.0.0")", 1, "cniVersion: 2.0.0 is not supported"},
    {"no version, which is 0.1.0", Command::Add, R"("cniVersion":null)", 1, "cniVersion: 0.1.0 is not supported"},
    {"STATUS before 1.1.0", Command::Status, R"("cniVersion":"1.0.0")", 1, "cniVersion: 1.0.0 has no STATUS"},
    {"GC before 1.1.0", Command::Gc, R"("cniVersion":"1.0.0","cni.dev/valid-attachments":[])", 1,
     "cniVersion: 1.0.0 has no GC"},
    {"CHECK before 0.4.0", Command::Check, R"("cniVersion":"0.3.1")", 1, "cniVersion: 0.3.1 has no CHECK"},
    {"an unknown field", Command::Add, R"("mtu":1400)", 2, "mtu: unsupported field, found 1400"},
    {"another's IPAM", Command::Add, R"("ipam":{"type":"host-local"})", 2,
     R"(ipam: unsupported field, found {"type":"host-local"})"},
    {"a capability declared", Command::Status, R"("capabilities":{"bandwidth":true})", 2,
     "capabilities.bandwidth: unsupported field, found true"},
    {"a capability used", Command::Add, R"("runtimeConfig":{"mac":"02:00:00:00:00:01"})", 2,
     R"(runtimeConfig.mac: unsupported field, found "02:00:00:00:00:01")"},
    {"GC without its list, lest it remove all", Command::Gc, R"()", 7,
     "cni.dev/valid-attachments: must be the list of attachments that stay (an empty one removes all), found nothing"},
    {"GC with half an attachment", Command::Gc, R"("cni.dev/valid-attachments":[{"containerID":"a"}])", 7,
     "cni.dev/valid-attachments[0].ifname: must be a string that is not empty, found nothing"},
    {"CHECK without a result", Command::Check, R"()", 7,
     "prevResult: must be the result of ADD, which CHECK goes by, found nothing"},
    {"a relative socket", Command::Add, R"("socket":"cni.sock")", 7,
     R"(socket: must be an absolute path of at most 107 characters, found "cni.sock")"},
    {"a relative log", Command::Add, R"("logFile":"log")", 7, R"(logFile: must be an absolute path, found "log")"},
    {"no time at all", Command::Del, R"("timeoutSeconds":0)", 7,
     "timeoutSeconds: must be a whole number from 1 to 600, found 0"},
    {"a name with a slash", Command::Add, R"("name":"a/b")", 7,
     R"(name: must be letters, digits, "_", "." or "-" after a letter or digit, found "a/b")"},
    {"a port out of range", Command::Add, R"("runtimeConfig":{"portMappings":[{"hostPort":65536,"containerPort":80}]})",
     7, "runtimeConfig.portMappings[0].hostPort: must be a whole number from 1 to 65535, found 65536"},
    {"a port of text", Command::Add, R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":"http"}]})", 7,
     R"(runtimeConfig.portMappings[0].containerPort: must be a whole number from 1 to 65535, found "http")"},
    {"a protocol", Command::Add,
     R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":80,"protocol":"icmp"}]})", 7,
     R"(runtimeConfig.portMappings[0].protocol: must be tcp, udp or sctp, found "icmp")"},
    {"a host address", Command::Add,
     R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":80,"hostIP":"here"}]})", 7,
     R"(runtimeConfig.portMappings[0].hostIP: must be an IPv4 or IPv6 address, found "here")"},
    {"a result's address of no interface", Command::Add,
     R"("prevResult":{"interfaces":[{"name":"a"}],"ips":[{"address":"10.0.0.1/8","interface":1}]})", 7,
     "prevResult.ips[0].interface: must be a whole number from 0 to 0, found 1"},
    {"a result that is none", Command::Add, R"("prevResult":"x")", 7, R"(prevResult: must be an object, found "x")"},
};

std::string written(const Row& row) {
  const std::string fields = row.fields;
  return R"({"cniVersion":"1.1.0","name":"net","type":"sluice-cni")" + (fields.empty() ? "" : "," + fields) + "}";
}

TEST(Configuration, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.what);
    try {
      read_configuration(written(row), row.command);
      EXPECT_EQ(row.code, 0U);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), row.code);
      EXPECT_STREQ(failure.what(), row.message);
    }
  }
}

TEST(Configuration, NoJson) {
  for (const char* text : {"", "{", "no"}) {
    try {
      read_configuration(text, Command::Del);
      FAIL() << text;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), code::kDecoding);
    }
  }
}

TEST(Configuration, PortMappings) {
  const Configuration read = read_configuration(
      R"({"cniVersion":"1.0.0","name":"net","runtimeConfig":{"portMappings":[
          {"hostPort":8080,"containerPort":80,"protocol":"TCP","hostIP":""},
          {"hostPort":53,"containerPort":5353,"protocol":"udp","hostIP":"2001:db8::1"}]}})",
      Command::Add);
  ASSERT_EQ(read.port_mappings.size(), 2U);
  EXPECT_EQ(read.port_mappings[0].host_port, 8080U);
  EXPECT_EQ(read.port_mappings[0].container_port, 80U);
  EXPECT_EQ(read.port_mappings[0].protocol, "tcp");
  EXPECT_EQ(read.port_mappings[0].host_ip, "");
  EXPECT_EQ(read.port_mappings[1].protocol, "udp");
  EXPECT_EQ(read.port_mappings[1].host_ip, "2001:db8::1");
}

}  // namespace
}  // namespace sluice::cni
