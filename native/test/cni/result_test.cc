#include "result.h"

#include <gtest/gtest.h>

namespace sluice::cni {
namespace {

v1::AddResponse one_pod() {
  v1::AddResponse added;
  v1::Interface* own = added.add_interfaces();
  own->set_name("eth0");
  own->set_mac("02:00:00:00:00:01");
  own->set_mtu(1450);
  own->add_addresses()->set_address("10.1.0.5/32");
  own->mutable_addresses(0)->set_gateway("169.254.1.1");
  own->add_addresses()->set_address("fd00::5/128");
  v1::Interface* memif = added.add_interfaces();
  memif->set_name("mem1");
  memif->set_socket_path("/run/sluice/memif/u1/mem1.sock");
  memif->add_addresses()->set_address("10.1.0.6/32");
  added.add_routes()->set_destination("0.0.0.0/0");
  added.mutable_routes(0)->set_gateway("169.254.1.1");
  return added;
}

struct Row {
  const char* what;
  const char* version;
  const char* previous;
  const char* dns;
  const char* result;
};

const Row kRows[] = {
    {"1.1.0", "1.1.0", "null", R"({"nameservers":["10.0.0.10"]})",
     R"({"cniVersion":"1.1.0","dns":{"nameservers":["10.0.0.10"]},
         "interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","mtu":1450,"sandbox":"/ns"},
                       {"name":"mem1","sandbox":"/ns","socketPath":"/run/sluice/memif/u1/mem1.sock"}],
         "ips":[{"address":"10.1.0.5/32","gateway":"169.254.1.1","interface":0},
                {"address":"fd00::5/128","interface":0},{"address":"10.1.0.6/32","interface":1}],
         "routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]})"},
    {"1.0.0 knows no MTU", "1.0.0", "null", "null",
     R"({"cniVersion":"1.0.0","dns":{},
         "interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/ns"},{"name":"mem1","sandbox":"/ns"}],
         "ips":[{"address":"10.1.0.5/32","gateway":"169.254.1.1","interface":0},
                {"address":"fd00::5/128","interface":0},{"address":"10.1.0.6/32","interface":1}],
         "routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]})"},
    {"0.4.0 says the family", "0.4.0", "null", "null",
     R"({"cniVersion":"0.4.0","dns":{},
         "interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/ns"},{"name":"mem1","sandbox":"/ns"}],
         "ips":[{"version":"4","address":"10.1.0.5/32","gateway":"169.254.1.1","interface":0},
                {"version":"6","address":"fd00::5/128","interface":0},
                {"version":"4","address":"10.1.0.6/32","interface":1}],
         "routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]})"},
    {"behind another plugin", "1.0.0",
     R"({"cniVersion":"1.0.0","interfaces":[{"name":"vethx"},{"name":"net1","sandbox":"/ns"}],
         "ips":[{"address":"192.0.2.2/24","interface":1}],"routes":[{"dst":"192.0.2.0/24"}],"dns":{"domain":"x"}})",
     R"({"nameservers":["10.0.0.10"]})",
     R"({"cniVersion":"1.0.0","dns":{"domain":"x"},
         "interfaces":[{"name":"vethx"},{"name":"net1","sandbox":"/ns"},
                       {"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/ns"},{"name":"mem1","sandbox":"/ns"}],
         "ips":[{"address":"192.0.2.2/24","interface":1},
                {"address":"10.1.0.5/32","gateway":"169.254.1.1","interface":2},
                {"address":"fd00::5/128","interface":2},{"address":"10.1.0.6/32","interface":3}],
         "routes":[{"dst":"192.0.2.0/24"},{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]})"},
};

TEST(Result, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.what);
    Configuration configuration;
    configuration.version = row.version;
    configuration.previous = Json::parse(row.previous);
    configuration.dns = Json::parse(row.dns);
    EXPECT_EQ(add_result(configuration, "/ns", one_pod()), Json::parse(row.result));
  }
}

TEST(Result, PreviousAddressesAreThoseOfTheInterface) {
  const Json previous = Json::parse(kRows[3].result);
  EXPECT_EQ(previous_addresses(previous, "/ns", "eth0"), (std::vector<std::string>{"10.1.0.5/32", "fd00::5/128"}));
  EXPECT_EQ(previous_addresses(previous, "/ns", "net1"), (std::vector<std::string>{"192.0.2.2/24"}));
  EXPECT_THROW(previous_addresses(previous, "/other", "eth0"), Failure);
}

TEST(Result, Errors) {
  EXPECT_EQ(error_result("1.0.0", Failure(11, "later")),
            Json::parse(R"({"cniVersion":"1.0.0","code":11,"msg":"later"})"));
  EXPECT_EQ(error_result("1.0.0", Failure(100, "x", "why")),
            Json::parse(R"({"cniVersion":"1.0.0","code":100,"msg":"x","details":"why"})"));
}

TEST(Result, Version) {
  EXPECT_EQ(version_result(asked_version(R"({"cniVersion":"0.4.0"})")),
            Json::parse(R"({"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})"));
  EXPECT_EQ(asked_version(""), "1.1.0");
}

}  // namespace
}  // namespace sluice::cni
