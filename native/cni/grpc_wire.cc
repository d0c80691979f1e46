#include "grpc_wire.h"

#include <algorithm>
#include <cstdint>

namespace sluice::cni {

namespace {

constexpr std::chrono::milliseconds::rep kLongestTimeout = 99'999'999;

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

int base64_digit(char digit) {
  if (digit >= 'A' && digit <= 'Z') return digit - 'A';
  if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
  if (digit >= '0' && digit <= '9') return digit - '0' + 52;
  if (digit == '+') return 62;
  return digit == '/' ? 63 : -1;
}

}  // namespace

GrpcPrefix grpc_prefix(const std::string& bytes) {
  size_t length = 0;
  for (size_t i = 1; i < kGrpcPrefixBytes; i++) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  return {bytes[0] != 0, length};
}

std::string grpc_framed(const std::string& message) {
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(message.size() >> shift);
  return framed + message;
}

std::string grpc_timeout(std::chrono::nanoseconds left) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return std::to_string(std::clamp<std::chrono::milliseconds::rep>(ms, 1, kLongestTimeout)) + "m";
}

std::string percent_decoded(const std::string& text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); i++) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hex_digit(text[i + 1]) : -1, low = escape ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      decoded += text[i];
    } else {
      decoded += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return decoded;
}

std::optional<std::string> binary_value(const std::string& text) {
  std::string digits = text.substr(0, text.find(','));
  digits.erase(digits.find_last_not_of('=') + 1);
  if (digits.size() % 4 == 1) return std::nullopt;
  std::string decoded;
  uint32_t bits = 0;
  int held = 0;  // bits that make no whole byte yet
  for (const char each : digits) {
    const int digit = base64_digit(each);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    decoded += static_cast<char>(bits >> held);
  }
  return decoded;
}

}  // namespace sluice::cni
