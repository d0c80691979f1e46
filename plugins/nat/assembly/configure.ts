import { Json, PortRange, Prefix, Protocol, readPorts } from "@sluice/sdk";
import { fillChoices } from "./maglev";
import {
  backends, options, pools, prefixes, serviceByKey, ServiceKey, services, sourceRules, virtualAddresses
} from "./tables";

const MAX_BACKENDS: i32 = 512; // of one service
const MAX_WEIGHT: i64 = 1000;
const FIRST_PORT: u32 = 1024;
const LAST_PORT: u32 = 65535;

const prefix = new Prefix();
const ports = new PortRange();
const key = new ServiceKey();

/** An address as the tables have it, of the last call of readAddress. */
let family: u32 = 0;
let high: u64 = 0;
let low: u64 = 0;

@configure
export function build(config: Json): void {
  const all = options.make();
  if (all == null) return;
  const removed = config.get("removedBackend");
  const text = removed.text();
  if (removed.isPresent && text != "keep" && text != "drop") removed.fail('must be "keep" or "drop"');
  all.dropsRemoved = text == "drop" ? 1 : 0;
  const hairpin = config.get("hairpin");
  all.hairpin4 = addHairpin(hairpin.get("ipv4"), 4);
  all.hairpin6 = addHairpin(hairpin.get("ipv6"), 6);
  for (let service = config.get("services").first; service.isPresent; service = service.next) {
    if (!addService(service)) return;
  }
  for (let rule = config.get("masquerade").first; rule.isPresent; rule = rule.next) {
    if (!addSourceRule(rule)) return;
  }
}

/** False when it is absent or no single address. */
function readAddress(value: Json): bool {
  family = 0;
  if (!value.prefix(prefix)) return false;
  if (prefix.length != (prefix.family == 4 ? 32 : 128)) {
    value.fail("must be one address, without a prefix length");
    return false;
  }
  family = prefix.family;
  high = family == 4 ? 0 : prefix.address6.high;
  low = family == 4 ? <u64>prefix.address4 : prefix.address6.low;
  return true;
}

function addHairpin(address: Json, wanted: u32): u32 {
  if (!address.isPresent || !readAddress(address)) return 0;
  if (family != wanted) address.fail(wanted == 4 ? "must be an IPv4 address" : "must be an IPv6 address");
  return addPool(FIRST_PORT, LAST_PORT) + 1;
}

/** Number of a new pool with the address that was read last. */
function addPool(first: u32, last: u32): u32 {
  const pool = pools.add();
  if (pool == null) return 0;
  pool.high = high;
  pool.low = low;
  pool.first = first;
  pool.last = last;
  return pools.length - 1;
}

function readProtocol(value: Json): u32 {
  const text = value.text();
  if (text == "tcp") return Protocol.Tcp;
  if (text == "udp") return Protocol.Udp;
  if (text == "sctp") return Protocol.Sctp;
  value.fail('must be "tcp", "udp" or "sctp"');
  return 0;
}

/** False when the segment is too small, or the configuration wrong. */
function addService(from: Json): bool {
  if (!readAddress(from.need("vip"))) return false;
  const protocol = readProtocol(from.need("protocol"));
  const port = <u32>from.need("port").integer(1, 65535);
  const serviceFamily = family;
  key.set(family, high, low, 0, 0);
  const isExclusive = !from.get("shared").boolean();
  if (!virtualAddresses.set(key, isExclusive ? virtualAddresses.get(key, 1) : 0)) return false;
  key.set(family, high, low, protocol, port);
  if (serviceByKey.has(key)) from.fail("has the vip, port and protocol of an earlier service");
  const service = services.add();
  if (service == null || !serviceByKey.set(key, services.length - 1)) return false;
  const sourceNat = from.get("sourceNat");
  if (sourceNat.isPresent && readAddress(sourceNat)) {
    if (family != serviceFamily) sourceNat.fail("must be of the vip's address family");
    service.pool = addPool(FIRST_PORT, LAST_PORT) + 1;
  }
  service.firstBackend = backends.length;
  const list = from.need("backends");
  for (let backend = list.first; backend.isPresent; backend = backend.next) {
    if (!addBackend(backend, serviceFamily, port)) return false;
  }
  service.backends = backends.length - service.firstBackend;
  if (<i32>service.backends > MAX_BACKENDS) list.fail("has more than " + MAX_BACKENDS.toString() + " backends");
  else return fillChoices(service);
  return false;
}

function addBackend(from: Json, serviceFamily: u32, servicePort: u32): bool {
  const address = from.need("address");
  if (!readAddress(address)) return false;
  if (family != serviceFamily) address.fail("must be of the vip's address family");
  const port = from.get("port");
  const weight = from.get("weight");
  const backend = backends.add();
  if (backend == null) return false;
  backend.high = high;
  backend.low = low;
  backend.port = port.isPresent ? <u32>port.integer(1, 65535) : servicePort;
  backend.weight = weight.isPresent ? <u32>weight.integer(0, MAX_WEIGHT) : 1;
  return true;
}

function addSourceRule(from: Json): bool {
  const source = from.need("source");
  if (!source.prefix(prefix)) return false;
  const ruleFamily = prefix.family;
  const rule = sourceRules.add();
  if (rule == null || !addPrefix()) return false;
  rule.family = ruleFamily;
  rule.source = prefixes.length - 1;
  rule.firstException = prefixes.length;
  for (let except = from.get("except").first; except.isPresent; except = except.next) {
    if (!except.prefix(prefix)) return false;
    if (prefix.family != ruleFamily) except.fail("must be of the source's address family");
    if (!addPrefix()) return false;
  }
  rule.exceptions = prefixes.length - rule.firstException;
  const to = from.need("to");
  if (!readAddress(to)) return false;
  if (family != ruleFamily) to.fail("must be of the source's address family");
  const isLimited = readPorts(from.get("ports"), ports);
  rule.pool = addPool(isLimited ? ports.first : FIRST_PORT, isLimited ? ports.last : LAST_PORT);
  return true;
}

/** Adds the prefix that was read last. */
function addPrefix(): bool {
  const added = prefixes.add();
  if (added == null) return false;
  const isIpv4 = prefix.family == 4;
  added.highMask = isIpv4 ? 0 : maskOf(prefix.length);
  added.lowMask = isIpv4 ? maskOf(prefix.length + 32) & u32.MAX_VALUE : prefix.length <= 64 ? 0 : maskOf(prefix.length - 64);
  added.high = isIpv4 ? 0 : prefix.address6.high & added.highMask;
  added.low = (isIpv4 ? <u64>prefix.address4 : prefix.address6.low) & added.lowMask;
  return true;
}

/** The first `length` bits of 64. */
function maskOf(length: u32): u64 { return length == 0 ? 0 : length >= 64 ? u64.MAX_VALUE : u64.MAX_VALUE << (64 - length); }
