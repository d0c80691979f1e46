// Protects BGP, or another TCP service, as RFC 5082 (GTSM) says: a neighbour's packets arrive with a TTL, or hop limit, that
// nobody further away can send. Packets below it are dropped; the others get DSCP CS6 (RFC 4594, network control).
// A stage in C without any library: docs/abi.md is all that it is written from.

#include "config.h"
#include "sluice_abi.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define BURST ((volatile sluice_burst *)SLUICE_WINDOW_BASE)

enum { TCP = 6, DSCP_CS6 = 48 };
/// Indices in manifest.json's lists.
enum { REFUSED_PACKETS, REFUSED_FLOWS };
enum { TTL_TOO_LOW };

/// The stage's flow slot, schema 1.
typedef struct {
  uint32_t refused;
} flow_state;

static uint64_t *const counters = (uint64_t *)SLUICE_COUNTERS_BASE;

EXPORT("sluice_abi_version") int32_t abi_version(void) { return SLUICE_ABI_VERSION; }

EXPORT("configure") int32_t configure(void) {
  if (BURST->segment_size < sizeof(guard_config)) return SLUICE_CONFIGURE_RESULT_TOO_LARGE;
  guard_config *config = (guard_config *)BURST->segment_base;
  *config = default_config;
  const char *error = read_config((const char *)SLUICE_INPUT_BASE, BURST->input_length, config);
  if (error == 0) return SLUICE_CONFIGURE_RESULT_OK;
  uint32_t length = 0;
  for (; error[length] != 0 && length < SLUICE_BURST_ERROR_TEXT_SIZE; length++) BURST->error_text[length] = error[length];
  BURST->error_length = length;
  return SLUICE_CONFIGURE_RESULT_INVALID;
}

/// Two bytes in network order.
static uint32_t u16_at(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

/// RFC 1624, equation 3: the checksum after a 16-bit word changed.
static void update_checksum(uint8_t *checksum, uint32_t before, uint32_t after) {
  uint32_t sum = (~u16_at(checksum) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  checksum[0] = sum >> 8;
  checksum[1] = sum;
}

/// Sets the DSCP and keeps ECN. Returns 0 when the packet has it already.
static int set_dscp(uint8_t *head, uint32_t family, uint32_t dscp) {
  const uint32_t before = u16_at(head);  // IPv4: version, IHL, TOS; IPv6: version, traffic class, flow label's first bits
  const uint32_t shift = family == 4 ? 2 : 6;
  const uint32_t after = (before & ~(0x3fu << shift)) | dscp << shift;
  if (before == after) return 0;
  head[0] = after >> 8;
  head[1] = after;
  if (family == 4) update_checksum(head + 10, before, after);
  return 1;
}

static void refuse(sluice_slot *slot) {
  counters[REFUSED_PACKETS]++;
  slot->verdict = SLUICE_VERDICT_DROP;
  slot->reason = SLUICE_PLUGIN_REASON_BASE + TTL_TOO_LOW;
  if (slot->flow == 0) return;
  flow_state *state = (flow_state *)((uint8_t *)slot + SLUICE_SLOT_FLOW_STATE);
  if (state->refused++ == 0) counters[REFUSED_FLOWS]++;
  slot->flags |= SLUICE_FLAG_FLOW_WRITTEN;
}

static void guard(sluice_slot *slot, const guard_config *config) {
  if (slot->protocol != TCP || slot->l4_offset == 0) return;
  uint8_t *head = (uint8_t *)slot + slot->head;
  const uint8_t *ports = head + slot->l4_offset;
  if (u16_at(ports) != config->port && u16_at(ports + 2) != config->port) return;
  const uint32_t ttl = slot->family == 4 ? head[8] : head[7];
  if (ttl < config->least_ttl) {
    refuse(slot);
  } else if (set_dscp(head, slot->family, DSCP_CS6)) {
    slot->flags |= SLUICE_FLAG_WRITTEN;
  }
}

EXPORT("process") void process(int32_t hook, int32_t count) {
  (void)hook;
  const uint32_t *list = (const uint32_t *)(SLUICE_WINDOW_BASE + SLUICE_SLOT_LIST_OFFSET);
  const int configured = BURST->segment_size != 0;
  const guard_config *config = configured ? (const guard_config *)BURST->segment_base : &default_config;
  for (int32_t i = 0; i < count; i++) {
    BURST->current = i;
    guard((sluice_slot *)list[i], config);
  }
}
