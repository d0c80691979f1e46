#include "invocation.h"

#include <gtest/gtest.h>

#include <map>

#include "failure.h"

namespace sluice::cni {
namespace {

using Variables = std::map<std::string, std::string>;

Variables variables;

Invocation read(const Variables& given) {
  variables = given;
  return read_invocation([](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second.c_str() : nullptr;
  });
}

/// `changes` over a valid ADD's; an empty value is as good as none.
Variables with(const Variables& changes) {
  Variables all = {{"CNI_COMMAND", "ADD"},
                   {"CNI_CONTAINERID", "c1"},
                   {"CNI_IFNAME", "eth0"},
                   {"CNI_NETNS", "/proc/self/ns/net"},
                   {"CNI_NETNS_OVERRIDE", "true"}};
  for (const auto& [name, value] : changes) all[name] = value;
  return all;
}

struct Row {
  const char* what;
  Variables changes;
  unsigned code;
  const char* message;
};

const Row kRows[] = {
    {"no command",
     {{"CNI_COMMAND", ""}},
     4,
     "CNI_COMMAND: must be one of ADD, DEL, CHECK, STATUS, GC, VERSION, found nothing"},
    {"an unknown command",
     {{"CNI_COMMAND", "add"}},
     4,
     "CNI_COMMAND: must be one of ADD, DEL, CHECK, STATUS, GC, VERSION, found \"add\""},
    {"no container",
     {{"CNI_CONTAINERID", ""}},
     4,
     "CNI_CONTAINERID: must be letters, digits, \"_\", \".\" or \"-\" after a letter or digit, found nothing"},
    {"a container id that is a path",
     {{"CNI_CONTAINERID", "../a"}},
     4,
     "CNI_CONTAINERID: must be letters, digits, \"_\", \".\" or \"-\" after a letter or digit, found \"../a\""},
    {"an interface name of 16 characters",
     {{"CNI_IFNAME", "eth0123456789abc"}},
     4,
     "CNI_IFNAME: must be an interface name: 1 to 15 characters without a slash, colon or space, found "
     "\"eth0123456789abc\""},
    {"no namespace", {{"CNI_NETNS", ""}}, 4, "CNI_NETNS: must be the path of a network namespace, found nothing"},
    {"a namespace that is gone",
     {{"CNI_NETNS", "/run/netns/gone"}},
     8,
     "CNI_NETNS: /run/netns/gone is no network namespace"},
    {"a namespace of another kind",
     {{"CNI_NETNS", "/proc/self/ns/uts"}},
     8,
     "CNI_NETNS: /proc/self/ns/uts is no network namespace"},
    {"the node's own",
     {{"CNI_NETNS_OVERRIDE", ""}},
     8,
     "CNI_NETNS: /proc/self/ns/net is the node's own network namespace"},
    {"arguments without a value",
     {{"CNI_ARGS", "A=1;B"}},
     4,
     "CNI_ARGS: must be KEY=VALUE pairs with semicolons between, found \"A=1;B\""},
    {"unknown arguments", {{"CNI_ARGS", "IP=10.0.0.1"}}, 4, "CNI_ARGS: unknown argument IP"},
    {"unknown arguments, not to be ignored",
     {{"CNI_ARGS", "IgnoreUnknown=0;IP=10.0.0.1"}},
     4,
     "CNI_ARGS: unknown argument IP"},
};

TEST(Invocation, Refused) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.what);
    try {
      read(with(row.changes));
      ADD_FAILURE() << "accepted";
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), row.code);
      EXPECT_STREQ(failure.what(), row.message);
    }
  }
}

TEST(Invocation, KubernetesArguments) {
  const Invocation add = read(with({{"CNI_ARGS",
                                     "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_"
                                     "CONTAINER_ID=c1;K8S_POD_UID=u=1;NEW=x"}}));
  EXPECT_EQ(add.command, Command::Add);
  EXPECT_EQ(add.pod_namespace, "default");
  EXPECT_EQ(add.pod_name, "web");
  EXPECT_EQ(add.pod_uid, "u=1");
}

TEST(Invocation, DelDoesWithoutTheNamespace) {
  EXPECT_EQ(read(with({{"CNI_COMMAND", "DEL"}, {"CNI_NETNS", ""}})).netns, "");
  EXPECT_EQ(read(with({{"CNI_COMMAND", "DEL"}, {"CNI_NETNS", "/run/netns/gone"}})).netns, "");
  EXPECT_EQ(read(with({{"CNI_COMMAND", "DEL"}, {"CNI_NETNS_OVERRIDE", ""}})).netns, "/proc/self/ns/net");
}

TEST(Invocation, SomeCommandsNeedNothingElse) {
  for (const char* command : {"STATUS", "GC", "VERSION"}) EXPECT_EQ(read({{"CNI_COMMAND", command}}).name, command);
}

}  // namespace
}  // namespace sluice::cni
