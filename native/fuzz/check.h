#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice::fuzz {

/// Ends the process when what must always hold does not: the fuzzer then keeps the input.
#define FUZZ_CHECK(condition, ...)                                                       \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: %s does not hold: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                                 \
      std::fputc('\n', stderr);                                                          \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

}  // namespace sluice::fuzz
