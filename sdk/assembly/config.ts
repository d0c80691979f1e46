// What the generated decoders of @config classes call; the build writes one for each class. For configure only.

import { decimal, hasError, IpAddress, Json, Prefix, reportAt, reportTooLarge } from "./json";
import { Ipv6Address } from "./headers";
import { PortRange, readPorts } from "./ports";

/** Memory that is left for the plugin's own function, and for the tables' making, when a configuration was read. */
const RESERVE: usize = 1 << 19;

/**
 * Reports that a value of the configuration is wrong: `message` continues "rules[3].port ". `object` is of a @config
 * class, `field` the field's name, or "" for the object itself. configure then ends with the first such error.
 */
export function refuse<T>(object: T, field: string, message: string): void {
  reportAt(changetype<Json>(object.__json), field, message);
}

export function hasFailed(): bool { return hasError(); }
export function absent(): Json { return changetype<Json>(0); }

/** The first member of an object; absent, and reported, when it is none. */
export function membersOf(from: Json): Json {
  if (from.isObject) return from.first;
  from.fail("must be an object");
  return absent();
}
export function refuseKey(member: Json, known: string): void { member.fail("is not known; known are " + known); }
export function refuseAbsent(from: Json, name: string): void { reportAt(from, name, "is missing"); }

/** Number of a list's items, 0 when it is no list, has too few or too many, or would not fit into memory. */
export function countItems(from: Json, least: i32, most: i32, bytes: usize): i32 {
  if (!from.isArray) {
    from.fail("must be a list");
    return 0;
  }
  const count = from.length;
  if (count < least) from.fail("must have at least " + decimal(least) + (least == 1 ? " item" : " items"));
  else if (count > most) from.fail("must have at most " + decimal(most) + " items, not " + decimal(count));
  else if (<u64>count * bytes + RESERVE > <u64>__room()) reportTooLarge(from);
  else return count;
  return 0;
}
/** False: memory is used up, which is reported. */
export function hasRoom(at: Json): bool {
  if (__room() >= RESERVE) return !hasError();
  reportTooLarge(at);
  return false;
}

/** `range` says what is allowed: making text of a number takes code. */
export function readNumber(from: Json, least: f64, most: f64, range: string): f64 {
  const value = from.number();
  if (value < least || value > most) from.fail("must be " + range);
  return value;
}
/** Index of a string in the list; 0, and reported, when it is not in it. */
export function choiceIndex(from: Json, choices: StaticArray<string>): i32 {
  for (let i = 0; i < choices.length; i++) if (from.isText(choices[i])) return i;
  let known = "";
  for (let i = 0; i < choices.length; i++) {
    known += (i == 0 ? '"' : i == choices.length - 1 ? ' or "' : ', "') + choices[i] + '"';
  }
  from.fail("must be " + known);
  return 0;
}
export function readChoice(from: Json, choices: StaticArray<string>): string { return choices[choiceIndex(from, choices)]; }
export function readAddress6(from: Json): Ipv6Address {
  const into = new Ipv6Address();
  from.address6(into);
  return into;
}
export function readPrefix(from: Json): Prefix {
  const into = new Prefix();
  from.prefix(into);
  return into;
}
export function readAddress(from: Json): IpAddress {
  const into = new IpAddress();
  if (from.prefix(into) && into.length != (into.family == 4 ? 32 : 128)) {
    from.fail("must be one address, without a prefix length");
  }
  return into;
}
export function readPortRange(from: Json): PortRange {
  const into = new PortRange();
  readPorts(from, into);
  return into;
}
