import { Hook, Json, PortRange, Prefix, Protocol, readPorts } from "@sluice/sdk";
import { Field, Sets } from "./field";
import {
  ACTION_ALLOW, ACTION_DENY, DESTINATION4, DESTINATION6, DESTINATION_PORT, FIELDS, HOOK_PROTOCOL, NO_COUNTER, rules,
  settings, SOURCE4, SOURCE6, SOURCE_PORT
} from "./tables";

const MAX_RULES: i32 = 4096;

/** Places of rules in the configuration, and their priorities. */
class Place {
  constructor(public rule: Json, public priority: i64, public index: i32) {}
}

@configure
export function build(config: Json): void {
  const all = settings.make();
  if (all == null) return;
  all.defaultAction = readAction(config.need("defaultAction"));
  all.dropInvalid = readInvalid(config.get("invalid")) ? 1 : 0;
  const places = inOrder(config.get("rules"));
  all.words = <u32>(places.length + 63) >>> 6;
  if (places.length == 0) return;
  const fields = new Array<Field>();
  for (let i: u32 = 0; i < FIELDS; i++) fields.push(new Field());
  for (let i = 0; i < places.length; i++) {
    if (!addRule(places[i].rule, places[i].index)) return;
    addFields(places[i].rule, i, fields);
  }
  const sets = new Sets();
  for (let i: u32 = 0; i < FIELDS; i++) fields[i].build(all, i, i == SOURCE6 || i == DESTINATION6, sets);
}

function inOrder(list: Json): Array<Place> {
  const places = new Array<Place>();
  for (let rule = list.first; rule.isPresent; rule = rule.next) {
    places.push(new Place(rule, rule.get("priority").integer(-1000000, 1000000), places.length));
  }
  if (places.length > MAX_RULES) list.fail("has " + places.length.toString() + " rules; the most is " + MAX_RULES.toString());
  if (places.length > MAX_RULES) return new Array<Place>();
  places.sort((a: Place, b: Place): i32 => a.priority != b.priority ? (a.priority < b.priority ? -1 : 1) : a.index - b.index);
  return places;
}

function readAction(value: Json): u32 {
  const text = value.text();
  if (text == "allow") return ACTION_ALLOW;
  if (text == "deny") return ACTION_DENY;
  value.fail('must be "allow" or "deny"');
  return ACTION_DENY;
}

function readInvalid(value: Json): bool {
  if (!value.isPresent) return true;
  const text = value.text();
  if (text != "drop" && text != "allow") value.fail('must be "drop" or "allow"');
  return text != "allow";
}

/** False when the segment is too small. */
function addRule(from: Json, index: i32): bool {
  const rule = rules.add();
  if (rule == null) return false;
  rule.action = readAction(from.need("action"));
  const counter = from.get("counter");
  rule.counter = counter.isPresent ? counter.unsigned(7) : NO_COUNTER;
  rule.trace = from.get("log").boolean() ? index + 1 : 0;
  return true;
}

function addFields(from: Json, rule: i32, fields: Array<Field>): void {
  const source = addPrefixes(from.get("source"), rule, fields[SOURCE4], fields[SOURCE6]);
  const destination = addPrefixes(from.get("destination"), rule, fields[DESTINATION4], fields[DESTINATION6]);
  if ((source & destination) == 0) from.fail("has no address family that is both in source and in destination");
  const protocol = readProtocol(from.get("protocol"));
  addHooks(from.get("direction"), rule, protocol, fields[HOOK_PROTOCOL]);
  addPorts(from.get("sourcePorts"), rule, protocol, fields[SOURCE_PORT]);
  addPorts(from.get("destinationPorts"), rule, protocol, fields[DESTINATION_PORT]);
}

const prefix = new Prefix();
const ports = new PortRange();

/** The families that the list has: 1 IPv4, 2 IPv6, 3 both or no list. */
function addPrefixes(list: Json, rule: i32, field4: Field, field6: Field): i32 {
  if (!list.isPresent) {
    field4.allowAll(rule);
    field6.allowAll(rule);
    return 3;
  }
  if (!list.first.isPresent) list.fail("must have a prefix; leave it out to mean all");
  let families = 0;
  for (let item = list.first; item.isPresent; item = item.next) {
    if (!item.prefix(prefix)) continue;
    const length = prefix.length;
    if (prefix.family == 4) {
      const rest = length == 0 ? u32.MAX_VALUE : length == 32 ? 0 : u32.MAX_VALUE >>> length;
      field4.allow(rule, prefix.address4 & ~rest, prefix.address4 | rest);
      families |= 1;
    } else {
      const high = restOf(length);
      const low = length <= 64 ? u64.MAX_VALUE : restOf(length - 64);
      const address = prefix.address6;
      field6.allow128(rule, address.high & ~high, address.low & ~low, address.high | high, address.low | low);
      families |= 2;
    }
  }
  return families;
}

/** The bits behind a prefix of `length` bits in 64. */
function restOf(length: u32): u64 { return length >= 64 ? 0 : u64.MAX_VALUE >>> length; }

const ANY: i32 = -1;

function readProtocol(value: Json): i32 {
  if (!value.isPresent) return ANY;
  if (value.isNumber) return value.unsigned(255);
  const text = value.isString ? value.text() : "";
  if (text == "any") return ANY;
  if (text == "tcp") return Protocol.Tcp;
  if (text == "udp") return Protocol.Udp;
  if (text == "sctp") return Protocol.Sctp;
  if (text == "icmp") return Protocol.Icmp;
  if (text == "icmpv6") return Protocol.Icmpv6;
  value.fail("must be any, tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255");
  return ANY;
}

function addHooks(value: Json, rule: i32, protocol: i32, field: Field): void {
  const text = value.text();
  if (value.isPresent && text != "forward" && text != "input" && text != "output") {
    value.fail('must be "forward", "input" or "output"');
  }
  if (!value.isPresent || text == "forward") addHook(Hook.FORWARD, rule, protocol, field);
  if (!value.isPresent || text == "input") addHook(Hook.INPUT, rule, protocol, field);
  if (!value.isPresent || text == "output") addHook(Hook.OUTPUT, rule, protocol, field);
}

function addHook(hook: u32, rule: i32, protocol: i32, field: Field): void {
  const first = hook << 8;
  if (protocol == ANY) field.allow(rule, first, first + 255);
  else field.allow(rule, first + protocol, first + protocol);
}

function addPorts(list: Json, rule: i32, protocol: i32, field: Field): void {
  if (!list.isPresent) return field.allowAll(rule);
  if (protocol != Protocol.Tcp && protocol != Protocol.Udp && protocol != Protocol.Sctp) {
    list.fail("needs the rule's protocol to be tcp, udp or sctp");
  }
  for (let item = list.first; item.isPresent; item = item.next) {
    if (readPorts(item, ports)) field.allow(rule, ports.first, ports.last);
  }
}
