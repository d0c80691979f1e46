import { Hook, Ipv6Address, Json, Prefix, refuse } from "@sluice/sdk";
import { Behaviour, NONE, PolicyConfig, SidConfig, SrConfig } from "./config";
import { options, policies, Policy, policyByDestination, segments, sidByPrefix, sids } from "./tables";

/** Bytes that a stage may push: an outer header, a routing header and so many segments are at most 128. */
const MAX_LISTED: i32 = 5;
const DEFAULT_HOP_LIMIT: u32 = 64;

const address = new Ipv6Address();

@configure
export function build(config: SrConfig): void {
  const all = options.make();
  if (all == null) return;
  all.encapsAt = config.encapsAt == "prerouting" ? Hook.PREROUTING : Hook.POSTROUTING;
  for (let i = 0; i < config.localSids.length; i++) {
    if (!addSid(config.localSids[i])) return;
  }
  const list = inOrder(config.policies);
  for (let i = 0; i < list.length; i++) {
    if (!addPolicy(list[i], config.source)) return;
  }
  linkPolicies(list);
}

/** False when the segment is too small. */
function addSid(from: SidConfig): bool {
  const prefix = from.sid;
  if (prefix.family != 6) refuse(from, "sid", "must be an IPv6 address or prefix");
  const sid = sids.add();
  if (sid == null) return false;
  sid.behaviour = from.behaviour;
  const isTable = from.behaviour == Behaviour.EndDt4 || from.behaviour == Behaviour.EndDt6;
  const isIpv4 = from.behaviour == Behaviour.EndDx4;
  const isCrossConnect = from.behaviour == Behaviour.EndX || isIpv4 || from.behaviour == Behaviour.EndDx6;
  if (from.table != NONE && !isTable) refuse(from, "table", "is for End.DT4 and End.DT6 only");
  sid.table = from.table == NONE ? 0 : from.table;
  if (from.port != NONE && !isCrossConnect) refuse(from, "port", "is for End.X, End.DX4 and End.DX6 only");
  if (from.port == NONE && isCrossConnect) refuse(from, "port", "is missing");
  sid.port = from.port == NONE ? 0 : from.port;
  const nextHop = from.nextHop;
  if (nextHop) {
    if (!isCrossConnect) refuse(from, "nextHop", "is for End.X, End.DX4 and End.DX6 only");
    else if (isIpv4 && nextHop.family != 4) refuse(from, "nextHop", 'must be an IPv4 address such as "10.0.0.1"');
    else if (!isIpv4 && nextHop.family != 6) refuse(from, "nextHop", 'must be an IPv6 address such as "fd00::1"');
    if (isIpv4) sid.nextHop4 = nextHop.address4;
    else sid.nextHop6.copyFrom(nextHop.address6);
  } else if (from.behaviour == Behaviour.EndX) {
    refuse(from, "nextHop", "is missing");
  }
  sid.length = prefix.length;
  const before = sidByPrefix.lookup6(prefix.address6);
  if (before != 0 && sids.at(before - 1).length == prefix.length) refuse(from, "sid", "is the SID of an earlier entry");
  return sidByPrefix.add6(prefix.address6, prefix.length, sids.length);
}

/** A policy's place in the configuration, and what it matches. IPv4 is the last 32 of 128 bits. */
class Place {
  constructor(
    public policy: PolicyConfig, public family: u32, public high: u64, public low: u64, public length: u32,
    public sourceLength: u32, public index: i32
  ) {}

  /** True when this destination prefix holds the other one. */
  holds(that: Place): bool {
    if (this.family != that.family || this.length > that.length) return false;
    address.high = that.high;
    address.low = that.low;
    own.high = this.high;
    own.low = this.low;
    return address.matches(own, this.length);
  }
}
const own = new Ipv6Address();

// @ts-ignore: decorator
@inline function length128(of128: Prefix): u32 { return of128.family == 4 ? of128.length + 96 : of128.length; }
// @ts-ignore: decorator
@inline function high128(of128: Prefix): u64 { return of128.family == 4 ? 0 : of128.address6.high; }
// @ts-ignore: decorator
@inline function low128(of128: Prefix): u64 { return of128.family == 4 ? <u64>of128.address4 : of128.address6.low; }

/** In the order in which they are tried: the longest destination first, then the longest source, then as configured. */
function inOrder(list: PolicyConfig[]): Array<Place> {
  const places = new Array<Place>();
  for (let i = 0; i < list.length; i++) {
    const policy = list[i];
    const prefix = policy.match;
    const source = policy.matchSource;
    if (source && source.family != prefix.family) refuse(policy, "matchSource", "must be of match's address family");
    const sourceLength = source ? length128(source) : 0;
    const high = high128(prefix);
    places.push(new Place(policy, prefix.family, high, low128(prefix), length128(prefix), sourceLength, i));
  }
  places.sort((a: Place, b: Place): i32 => {
    if (a.length != b.length) return a.length > b.length ? -1 : 1;
    if (a.sourceLength != b.sourceLength) return a.sourceLength > b.sourceLength ? -1 : 1;
    return a.index - b.index;
  });
  return places;
}

function addPolicy(place: Place, commonSource: Ipv6Address | null): bool {
  const from = place.policy;
  const policy = policies.add();
  if (policy == null) return false;
  const own = from.source;
  if (own) policy.source.copyFrom(own);
  else if (commonSource) policy.source.copyFrom(commonSource);
  else refuse(from, "", "has no source, and there is none for all");
  const matchSource = from.matchSource;
  if (matchSource) {
    policy.matchSource.high = high128(matchSource);
    policy.matchSource.low = low128(matchSource);
    policy.matchLength = length128(matchSource);
  }
  policy.hopLimit = readHopLimit(from.hopLimit);
  policy.hashesLabel = from.flowLabel == "inner" ? 0 : 1;
  policy.isReduced = from.reduced ? 1 : 0;
  return addSegments(from, policy);
}

/** 0: the inner packet's. */
function readHopLimit(value: Json | null): u32 {
  if (!value) return DEFAULT_HOP_LIMIT;
  if (value.isText("inner")) return 0;
  if (value.isNumber) return <u32>value.integer(1, 255);
  value.fail('must be a number from 1 to 255 or "inner"');
  return 0;
}

function addSegments(from: PolicyConfig, policy: Policy): bool {
  policy.firstSegment = segments.length;
  const list = from.segments;
  const listed = list.length - <i32>policy.isReduced;
  if (listed > MAX_LISTED) refuse(from, "segments", "has too many segments; the most is 5, and 6 when reduced");
  for (let i = 0; i < list.length; i++) {
    const segment = segments.add();
    if (segment == null) return false;
    segment.copyFrom(list[i]);
  }
  policy.segments = list.length;
  return listed <= MAX_LISTED;
}

/** Each policy's next one is the first behind it whose destination prefix holds its own. */
function linkPolicies(list: Array<Place>): void {
  for (let i = list.length - 1; i >= 0; i--) {
    for (let j = i + 1; j < list.length; j++) {
      if (!list[j].holds(list[i])) continue;
      policies.at(i).next = <u32>j + 1;
      break;
    }
    const place = list[i];
    address.high = place.high;
    address.low = place.low;
    // The first of equal destinations is entered last, and stays.
    if (place.family == 4) policyByDestination.add4(<u32>place.low, place.length - 96, i + 1);
    else policyByDestination.add6(address, place.length, i + 1);
  }
}
