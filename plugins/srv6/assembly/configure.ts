import { Hook, Ipv6Address, Json, Prefix } from "@sluice/sdk";
import {
  END, END_DT4, END_DT6, END_DX4, END_DX6, END_X, options, policies, Policy, policyByDestination, segments, sidByPrefix,
  sids
} from "./tables";

/** Bytes that a stage may push: an outer header, a routing header and so many segments are at most 128. */
const MAX_LISTED: u32 = 5;
const MAX_TABLE: u32 = 65535;
const MAX_PORT: u32 = 1023;
const DEFAULT_HOP_LIMIT: u32 = 64;

const prefix = new Prefix();
const other = new Prefix();
const address = new Ipv6Address();

@configure
export function build(config: Json): void {
  const all = options.make();
  if (all == null) return;
  all.encapsAt = readHook(config.get("encapsAt"));
  for (let sid = config.get("localSids").first; sid.isPresent; sid = sid.next) {
    if (!addSid(sid)) return;
  }
  const list = inOrder(config.get("policies"));
  for (let i = 0; i < list.length; i++) {
    if (!addPolicy(list[i], config.get("source"))) return;
  }
  linkPolicies(list);
}

function readHook(value: Json): u32 {
  const text = value.text();
  if (value.isPresent && text != "prerouting" && text != "postrouting") value.fail('must be "prerouting" or "postrouting"');
  return text == "prerouting" ? Hook.PREROUTING : Hook.POSTROUTING;
}

function readBehaviour(value: Json): u32 {
  const text = value.text();
  if (text == "End") return END;
  if (text == "End.X") return END_X;
  if (text == "End.DT4") return END_DT4;
  if (text == "End.DT6") return END_DT6;
  if (text == "End.DX4") return END_DX4;
  if (text == "End.DX6") return END_DX6;
  value.fail("must be End, End.X, End.DT4, End.DT6, End.DX4 or End.DX6");
  return 0;
}

/** False when the segment is too small, or the configuration wrong. */
function addSid(from: Json): bool {
  const at = from.need("sid");
  if (!at.prefix(prefix)) return false;
  if (prefix.family != 6) at.fail("must be an IPv6 address or prefix");
  const sid = sids.add();
  if (sid == null) return false;
  sid.behaviour = readBehaviour(from.need("behaviour"));
  const isTable = sid.behaviour == END_DT4 || sid.behaviour == END_DT6;
  const isCrossConnect = sid.behaviour == END_X || sid.behaviour == END_DX4 || sid.behaviour == END_DX6;
  const table = from.get("table");
  if (table.isPresent && !isTable) table.fail("is for End.DT4 and End.DT6 only");
  sid.table = table.unsigned(MAX_TABLE);
  const port = isCrossConnect ? from.need("port") : from.get("port");
  if (port.isPresent && !isCrossConnect) port.fail("is for End.X, End.DX4 and End.DX6 only");
  sid.port = port.unsigned(MAX_PORT);
  const nextHop = sid.behaviour == END_X ? from.need("nextHop") : from.get("nextHop");
  if (nextHop.isPresent && !isCrossConnect) nextHop.fail("is for End.X, End.DX4 and End.DX6 only");
  if (sid.behaviour == END_DX4) sid.nextHop4 = nextHop.address4();
  else if (isCrossConnect) nextHop.address6(sid.nextHop6);
  sid.length = prefix.length;
  const before = sidByPrefix.lookup6(prefix.address6);
  if (before != 0 && sids.at(before - 1).length == prefix.length) at.fail("is the SID of an earlier entry");
  return sidByPrefix.add6(prefix.address6, prefix.length, sids.length);
}

/** A policy's place in the configuration, and what it matches. IPv4 is the last 32 of 128 bits. */
class Place {
  constructor(
    public policy: Json, public family: u32, public high: u64, public low: u64, public length: u32,
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
function inOrder(list: Json): Array<Place> {
  const places = new Array<Place>();
  for (let policy = list.first; policy.isPresent; policy = policy.next) {
    if (!policy.need("match").prefix(prefix)) continue;
    const source = policy.get("matchSource");
    const hasSource = source.prefix(other);
    if (hasSource && other.family != prefix.family) source.fail("must be of match's address family");
    const sourceLength = hasSource ? length128(other) : 0;
    const high = high128(prefix);
    places.push(new Place(policy, prefix.family, high, low128(prefix), length128(prefix), sourceLength, places.length));
  }
  places.sort((a: Place, b: Place): i32 => {
    if (a.length != b.length) return a.length > b.length ? -1 : 1;
    if (a.sourceLength != b.sourceLength) return a.sourceLength > b.sourceLength ? -1 : 1;
    return a.index - b.index;
  });
  return places;
}

function addPolicy(place: Place, commonSource: Json): bool {
  const from = place.policy;
  const policy = policies.add();
  if (policy == null) return false;
  const source = from.get("source");
  if (!source.isPresent && !commonSource.isPresent) from.fail("has no source, and there is none for all");
  else (source.isPresent ? source : commonSource).address6(policy.source);
  const matchSource = from.get("matchSource");
  if (matchSource.prefix(other)) {
    policy.matchSource.high = high128(other);
    policy.matchSource.low = low128(other);
    policy.matchLength = length128(other);
  }
  policy.hopLimit = readHopLimit(from.get("hopLimit"));
  const label = from.get("flowLabel").text();
  if (label != "" && label != "hash" && label != "inner") from.get("flowLabel").fail('must be "hash" or "inner"');
  policy.hashesLabel = label == "inner" ? 0 : 1;
  policy.isReduced = from.get("reduced").boolean() ? 1 : 0;
  return addSegments(from.need("segments"), policy);
}

/** 0: the inner packet's. */
function readHopLimit(value: Json): u32 {
  if (!value.isPresent) return DEFAULT_HOP_LIMIT;
  if (value.isString && value.text() == "inner") return 0;
  if (value.isNumber) return <u32>value.integer(1, 255);
  value.fail('must be a number from 1 to 255 or "inner"');
  return 0;
}

function addSegments(list: Json, policy: Policy): bool {
  policy.firstSegment = segments.length;
  for (let item = list.first; item.isPresent; item = item.next) {
    if (!item.address6(address)) return false;
    const segment = segments.add();
    if (segment == null) return false;
    segment.copyFrom(address);
  }
  policy.segments = segments.length - policy.firstSegment;
  const listed = policy.segments - policy.isReduced;
  if (policy.segments == 0) list.fail("must have a segment");
  else if (listed > MAX_LISTED) list.fail("has too many segments; the most is 5, and 6 when reduced");
  return policy.segments != 0 && listed <= MAX_LISTED;
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
