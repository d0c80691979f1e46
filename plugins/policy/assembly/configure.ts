import { Hook, Json, PortRange, Prefix, Protocol, refuse } from "@sluice/sdk";
import { PolicyConfig, RuleConfig } from "./config";
import { Field, Sets } from "./field";
import {
  DESTINATION4, DESTINATION6, DESTINATION_PORT, FIELDS, HOOK_PROTOCOL, rules, settings, SOURCE4, SOURCE6, SOURCE_PORT
} from "./tables";

/** Places of rules in the configuration, and their priorities. */
class Place {
  constructor(public rule: RuleConfig, public index: i32) {}
}

@configure
export function build(config: PolicyConfig): void {
  const all = settings.make();
  if (all == null) return;
  all.defaultAction = config.defaultAction;
  all.dropInvalid = config.invalid == "drop" ? 1 : 0;
  const places = inOrder(config.rules);
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

function inOrder(list: RuleConfig[]): Array<Place> {
  const places = new Array<Place>();
  for (let i = 0; i < list.length; i++) places.push(new Place(list[i], i));
  places.sort((a: Place, b: Place): i32 =>
    a.rule.priority != b.rule.priority ? (a.rule.priority < b.rule.priority ? -1 : 1) : a.index - b.index);
  return places;
}

/** False when the segment is too small. */
function addRule(from: RuleConfig, index: i32): bool {
  const rule = rules.add();
  if (rule == null) return false;
  rule.action = from.action;
  rule.counter = from.counter;
  rule.trace = from.log ? index + 1 : 0;
  return true;
}

function addFields(from: RuleConfig, rule: i32, fields: Array<Field>): void {
  const source = addPrefixes(from.source, rule, fields[SOURCE4], fields[SOURCE6]);
  const destination = addPrefixes(from.destination, rule, fields[DESTINATION4], fields[DESTINATION6]);
  if ((source & destination) == 0) refuse(from, "", "has no address family that is both in source and in destination");
  const protocol = readProtocol(from.protocol);
  addHooks(from.direction, rule, protocol, fields[HOOK_PROTOCOL]);
  if (protocol != Protocol.Tcp && protocol != Protocol.Udp && protocol != Protocol.Sctp) {
    const needs = "needs the rule's protocol to be tcp, udp or sctp";
    if (from.sourcePorts) refuse(from, "sourcePorts", needs);
    if (from.destinationPorts) refuse(from, "destinationPorts", needs);
  }
  addPorts(from.sourcePorts, rule, fields[SOURCE_PORT]);
  addPorts(from.destinationPorts, rule, fields[DESTINATION_PORT]);
}

/** The families that the list has: 1 IPv4, 2 IPv6, 3 both or no list. */
function addPrefixes(list: Prefix[] | null, rule: i32, field4: Field, field6: Field): i32 {
  if (!list) {
    field4.allowAll(rule);
    field6.allowAll(rule);
    return 3;
  }
  let families = 0;
  for (let i = 0; i < list.length; i++) {
    const prefix = list[i];
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

function readProtocol(value: Json | null): i32 {
  if (!value) return ANY;
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

function addHooks(direction: string | null, rule: i32, protocol: i32, field: Field): void {
  if (!direction || direction == "forward") addHook(Hook.FORWARD, rule, protocol, field);
  if (!direction || direction == "input") addHook(Hook.INPUT, rule, protocol, field);
  if (!direction || direction == "output") addHook(Hook.OUTPUT, rule, protocol, field);
}

function addHook(hook: u32, rule: i32, protocol: i32, field: Field): void {
  const first = hook << 8;
  if (protocol == ANY) field.allow(rule, first, first + 255);
  else field.allow(rule, first + protocol, first + protocol);
}

function addPorts(list: PortRange[] | null, rule: i32, field: Field): void {
  if (!list) return field.allowAll(rule);
  for (let i = 0; i < list.length; i++) field.allow(rule, list[i].first, list[i].last);
}
