#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice {

/// SHA-256 (FIPS 180-4) as 64 lower-case hex digits.
std::string sha256_hex(const void* bytes, size_t size);

}  // namespace sluice
