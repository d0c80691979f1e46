import { IpAddress, Prefix, refuse } from "@sluice/sdk";
import { BackendConfig, HairpinConfig, MasqueradeConfig, NatConfig, ServiceConfig } from "./config";
import { choicesOf, fillChoices } from "./maglev";
import {
  backends, choices, options, pools, prefixes, serviceByKey, ServiceKey, services, sourceRules, virtualAddresses
} from "./tables";

const FIRST_PORT: u32 = 1024;
const LAST_PORT: u32 = 65535;

const key = new ServiceKey();

@configure
export function build(config: NatConfig): void {
  const all = options.make();
  if (all == null) return;
  all.dropsRemoved = config.removedBackend == "drop" ? 1 : 0;
  all.hairpin4 = addHairpin(config.hairpin, config.hairpin.ipv4, 4);
  all.hairpin6 = addHairpin(config.hairpin, config.hairpin.ipv6, 6);
  if (!makeRoom(config.services)) return;
  for (let i = 0; i < config.services.length; i++) {
    if (!addService(config.services[i])) return;
  }
  for (let i = 0; i < config.masquerade.length; i++) {
    if (!addSourceRule(config.masquerade[i])) return;
  }
}

/** False when the segment is too small. */
function makeRoom(list: ServiceConfig[]): bool {
  let places: u32 = 0;
  let choice: u32 = 0;
  for (let i = 0; i < list.length; i++) {
    const count = list[i].backends.length;
    places += count;
    choice += choicesOf(count);
  }
  return services.reserve(list.length) && backends.reserve(places) && choices.reserve(choice);
}

/** As the tables have it. */
function highOf(address: Prefix): u64 { return address.family == 4 ? 0 : address.address6.high; }
function lowOf(address: Prefix): u64 { return address.family == 4 ? <u64>address.address4 : address.address6.low; }

function addHairpin(from: HairpinConfig, address: IpAddress | null, family: u32): u32 {
  if (!address) return 0;
  if (address.family != family) refuse(from, family == 4 ? "ipv4" : "ipv6", family == 4 ? "must be an IPv4 address" : "must be an IPv6 address");
  return addPool(address, FIRST_PORT, LAST_PORT) + 1;
}

/** Number of a new pool. */
function addPool(address: IpAddress, first: u32, last: u32): u32 {
  const pool = pools.add();
  if (pool == null) return 0;
  pool.high = highOf(address);
  pool.low = lowOf(address);
  pool.first = first;
  pool.last = last;
  return pools.length - 1;
}

/** False when the segment is too small, or the configuration wrong. */
function addService(from: ServiceConfig): bool {
  const vip = from.vip;
  key.set(vip.family, highOf(vip), lowOf(vip), 0, 0);
  if (!virtualAddresses.set(key, from.shared ? 0 : virtualAddresses.get(key, 1))) return false;
  key.set(vip.family, highOf(vip), lowOf(vip), <u32>from.protocol, from.port);
  if (serviceByKey.has(key)) refuse(from, "", "has the vip, port and protocol of an earlier service");
  const service = services.add();
  if (service == null || !serviceByKey.set(key, services.length - 1)) return false;
  const sourceNat = from.sourceNat;
  if (sourceNat) {
    if (sourceNat.family != vip.family) refuse(from, "sourceNat", "must be of the vip's address family");
    service.pool = addPool(sourceNat, FIRST_PORT, LAST_PORT) + 1;
  }
  service.affinitySeconds = from.affinitySeconds;
  service.firstBackend = backends.length;
  for (let i = 0; i < from.backends.length; i++) {
    if (!addBackend(from.backends[i], vip.family, from.port)) return false;
  }
  service.backends = backends.length - service.firstBackend;
  return fillChoices(service);
}

function addBackend(from: BackendConfig, family: u32, servicePort: u32): bool {
  if (from.address.family != family) refuse(from, "address", "must be of the vip's address family");
  const backend = backends.add();
  if (backend == null) return false;
  backend.high = highOf(from.address);
  backend.low = lowOf(from.address);
  backend.port = from.port != 0 ? from.port : servicePort;
  backend.weight = from.weight;
  return true;
}

function addSourceRule(from: MasqueradeConfig): bool {
  const family = from.source.family;
  const rule = sourceRules.add();
  if (rule == null || !addPrefix(from.source)) return false;
  rule.family = family;
  rule.source = prefixes.length - 1;
  rule.firstException = prefixes.length;
  for (let i = 0; i < from.except.length; i++) {
    const except = from.except[i];
    if (except.family != family) refuse(from, "except[" + i.toString() + "]", "must be of the source's address family");
    if (!addPrefix(except)) return false;
  }
  rule.exceptions = prefixes.length - rule.firstException;
  if (from.to.family != family) refuse(from, "to", "must be of the source's address family");
  const ports = from.ports;
  rule.pool = addPool(from.to, ports ? ports.first : FIRST_PORT, ports ? ports.last : LAST_PORT);
  return true;
}

function addPrefix(prefix: Prefix): bool {
  const added = prefixes.add();
  if (added == null) return false;
  const isIpv4 = prefix.family == 4;
  added.highMask = isIpv4 ? 0 : maskOf(prefix.length);
  added.lowMask = isIpv4 ? maskOf(prefix.length + 32) & u32.MAX_VALUE : prefix.length <= 64 ? 0 : maskOf(prefix.length - 64);
  added.high = highOf(prefix) & added.highMask;
  added.low = lowOf(prefix) & added.lowMask;
  return true;
}

/** The first `length` bits of 64. */
function maskOf(length: u32): u64 { return length == 0 ? 0 : length >= 64 ? u64.MAX_VALUE : u64.MAX_VALUE << (64 - length); }
