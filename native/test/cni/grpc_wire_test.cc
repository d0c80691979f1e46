#include "grpc_wire.h"

#include <gtest/gtest.h>

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

TEST(GrpcWire, APrefixHasTheLengthInNetworkByteOrder) {
  EXPECT_EQ(grpc_framed(""), "\0\0\0\0\0"s);
  EXPECT_EQ(grpc_framed("ab"), "\0\0\0\0\2ab"s);
  EXPECT_EQ(grpc_framed(std::string(0x10203, 'x')).substr(0, 5), "\0\0\1\2\3"s);
  const GrpcPrefix prefix = grpc_prefix("\1\xff\2\3\4"s);
  EXPECT_TRUE(prefix.compressed);
  EXPECT_EQ(prefix.length, 0xff020304u);
}

TEST(GrpcWire, ATimeoutIsRoundedUpAndHasEightDigitsAtMost) {
  EXPECT_EQ(grpc_timeout(600s), "600000m");
  EXPECT_EQ(grpc_timeout(1ms + 1ns), "2m");
  EXPECT_EQ(grpc_timeout(-5s), "1m");
  EXPECT_EQ(grpc_timeout(1000h), "99999999m");
}

struct Row {
  const char* text;
  const char* decoded;  ///< null: refused
};

TEST(GrpcWire, PercentEscapes) {
  const Row rows[] = {
      {"", ""},     {"no answer", "no answer"}, {"100%25", "100%"}, {"caf%C3%a9%0a", "caf\xc3\xa9\n"}, {"%zz%", "%zz%"},
      {"%4", "%4"},
  };
  for (const Row& row : rows) EXPECT_EQ(percent_decoded(row.text), row.decoded) << row.text;
}

// RFC 4648, section 10, and what gRPC allows besides.
TEST(GrpcWire, BinaryValues) {
  const Row rows[] = {
      {"", ""},
      {"Zg==", "f"},
      {"Zg", "f"},
      {"Zm8=", "fo"},
      {"Zm9v", "foo"},
      {"Zm9vYmE", "fooba"},
      {"+/9h",
       "\xfb\xff"
       "a"},
      {"Zm8=,Zm9v", "fo"},
      {"Z", nullptr},
      {"Zm-v", nullptr},
      {"Zm=v", nullptr},
  };
  for (const Row& row : rows) {
    const auto value = binary_value(row.text);
    const auto expected = row.decoded != nullptr ? std::optional<std::string>(row.decoded) : std::nullopt;
    EXPECT_EQ(value, expected) << row.text;
  }
}

}  // namespace
}  // namespace sluice::cni
