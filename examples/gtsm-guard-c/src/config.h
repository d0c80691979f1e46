// The configuration: { "port": 179, "hops": 1 }, both optional. It lies in the config segment.
#pragma once

#include <stdint.h>

typedef struct {
  uint32_t port;
  uint32_t least_ttl;  ///< 256 - hops: a direct neighbour's packets arrive with 255
} guard_config;

static const guard_config default_config = {179, 255};

/// Reads `length` bytes of JSON into `config`. Returns what is wrong, or 0.
const char *read_config(const char *text, uint32_t length, guard_config *config);
