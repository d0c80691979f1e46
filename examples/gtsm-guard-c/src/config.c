// A reader for one flat JSON object of small numbers (RFC 8259), which is all that this stage needs.

#include "config.h"

typedef struct {
  const char *at, *end;
} reader;

static void skip_space(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

/// Takes `symbol`, with the space before it. Returns 0 when something else comes.
static int take(reader *r, char symbol) {
  skip_space(r);
  if (r->at == r->end || *r->at != symbol) return 0;
  r->at++;
  return 1;
}

/// Takes `key` in quotation marks.
static int take_key(reader *r, const char *key) {
  reader ahead = *r;
  if (!take(&ahead, '"')) return 0;
  for (; *key != 0; key++, ahead.at++) {
    if (ahead.at == ahead.end || *ahead.at != *key) return 0;
  }
  if (ahead.at == ahead.end || *ahead.at++ != '"') return 0;
  *r = ahead;
  return 1;
}

/// Takes an integer from 1 to `most`. Returns 0 when there is none.
static uint32_t take_integer(reader *r, uint32_t most) {
  uint32_t value = 0;
  skip_space(r);
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && value <= most; r->at++) value = value * 10 + (*r->at - '0');
  skip_space(r);
  const int ends = r->at < r->end && (*r->at == ',' || *r->at == '}');
  return ends && value <= most ? value : 0;
}

static const char *read_member(reader *r, guard_config *config) {
  if (take_key(r, "port")) {
    config->port = take(r, ':') ? take_integer(r, 65535) : 0;
    return config->port == 0 ? "port must be an integer from 1 to 65535" : 0;
  }
  if (take_key(r, "hops")) {
    const uint32_t hops = take(r, ':') ? take_integer(r, 255) : 0;
    config->least_ttl = 256 - hops;
    return hops == 0 ? "hops must be an integer from 1 to 255" : 0;
  }
  return "the configuration has another key than port and hops";
}

const char *read_config(const char *text, uint32_t length, guard_config *config) {
  reader r = {text, text + length};
  if (!take(&r, '{')) return "the configuration must be an object";
  if (take(&r, '}')) return 0;
  do {
    const char *error = read_member(&r, config);
    if (error != 0) return error;
  } while (take(&r, ','));
  return take(&r, '}') ? 0 : "the configuration is no JSON";
}
