// The rules as the packet path reads them. Rules are numbered in the order in which they apply; each value of a field (a
// source address, a port) has a set of the rules that allow it there, a bit for each rule. The first bit that all fields'
// sets have in common is the rule that applies. Values with the same set form intervals, sorted by where they start.

import { ArrayTable, Ipv6Address, Settings } from "@sluice/sdk";

/** From `start` to the next interval's start, of a field of 32 bits at most. */
@unmanaged
export class Interval {
  start: u32;
  /** Number of its set. */
  set: u32;
}

/** Likewise of IPv6 addresses. */
@unmanaged
export class Interval6 {
  high: u64;
  low: u64;
  set: u32;
}

/** 64 rules of a set; bit 0 is the first. A set is `Rules.words` of these. */
@unmanaged
export class Word {
  bits: u64;
}

@unmanaged
export class Rule {
  /** Of ACTION_. */
  action: u32;
  /** The rule's own counter, or NO_COUNTER. */
  counter: u32;
  /** What a packet's trace shows: the rule's place in the configuration, from 1; 0: the rule is not logged. */
  trace: u32;
}

// @ts-ignore: decorator
@inline export const ACTION_ALLOW: u32 = 1;
// @ts-ignore: decorator
@inline export const ACTION_DENY: u32 = 2;
// @ts-ignore: decorator
@inline export const NO_COUNTER: u32 = 0xffffffff;

// Places of the fields' intervals in Rules.first and Rules.count.
// @ts-ignore: decorator
@inline export const SOURCE4: u32 = 0;
// @ts-ignore: decorator
@inline export const DESTINATION4: u32 = 1;
// @ts-ignore: decorator
@inline export const SOURCE_PORT: u32 = 2;
// @ts-ignore: decorator
@inline export const DESTINATION_PORT: u32 = 3;
/** Hook * 256 + protocol. */
// @ts-ignore: decorator
@inline export const HOOK_PROTOCOL: u32 = 4;
/** Intervals of 16 bytes more, in `intervals6`. */
// @ts-ignore: decorator
@inline export const SOURCE6: u32 = 5;
// @ts-ignore: decorator
@inline export const DESTINATION6: u32 = 6;
export const FIELDS: u32 = 7;

@unmanaged
export class Rules {
  /** Rules / 64, rounded up; 0 without rules. */
  words: u32;
  defaultAction: u32;
  /** 1: a packet that conntrack calls INVALID is dropped. */
  dropInvalid: u32;
  private spare: u32;
  // u32 first[7], count[7] follow: where a field's intervals are.
  private ranges0: u64;
  private ranges1: u64;
  private ranges2: u64;
  private ranges3: u64;
  private ranges4: u64;
  private ranges5: u64;
  private ranges6: u64;

  // @ts-ignore: decorator
  @inline first(field: u32): u32 { return load<u32>(changetype<usize>(this) + 16 + (<usize>field << 3)); }
  // @ts-ignore: decorator
  @inline count(field: u32): u32 { return load<u32>(changetype<usize>(this) + 20 + (<usize>field << 3)); }
  setRange(field: u32, first: u32, count: u32): void {
    store<u32>(changetype<usize>(this) + 16 + (<usize>field << 3), first);
    store<u32>(changetype<usize>(this) + 20 + (<usize>field << 3), count);
  }
}

export const settings = new Settings<Rules>("settings");
export const rules = new ArrayTable<Rule>("rules");
export const intervals = new ArrayTable<Interval>("intervals");
export const intervals6 = new ArrayTable<Interval6>("intervals6");
export const words = new ArrayTable<Word>("words");

const WORD: usize = 8;
const INTERVAL: usize = 8;
const INTERVAL6: usize = 24;

/** Address of the set of the rules that allow `value` in a field of 32 bits at most. */
// @ts-ignore: decorator
@inline function setOf(all: Rules, field: u32, value: u32, sets: usize): usize {
  let at = changetype<usize>(intervals.at(all.first(field)));
  for (let n: usize = all.count(field); n > 1; ) {
    const half = n >>> 1;
    const middle = at + half * INTERVAL;
    at = select<usize>(middle, at, load<u32>(middle) <= value);
    n -= half;
  }
  return sets + <usize>load<u32>(at, 4) * <usize>all.words * WORD;
}

function setOf6(all: Rules, field: u32, value: Ipv6Address, sets: usize): usize {
  const high = value.high;
  const low = value.low;
  let at = changetype<usize>(intervals6.at(all.first(field)));
  for (let n: usize = all.count(field); n > 1; ) {
    const half = n >>> 1;
    const middle = at + half * INTERVAL6;
    const startHigh = load<u64>(middle);
    const isBefore = startHigh < high || (startHigh == high && load<u64>(middle, 8) <= low);
    at = select<usize>(middle, at, isBefore);
    n -= half;
  }
  return sets + <usize>load<u32>(at, 16) * <usize>all.words * WORD;
}

/** What a rule is asked about: a flow's original direction, as its packets are in the hook where the first one was seen. */
@unmanaged
export class Question {
  hook: u32;
  protocol: u32;
  sourcePort: u32;
  destinationPort: u32;
  /** IPv6: views; IPv4: null. */
  source6: Ipv6Address | null;
  destination6: Ipv6Address | null;
  source4: u32;
  destination4: u32;
}

/** The first rule that matches, or -1. */
export function firstMatch(all: Rules, question: Question): i32 {
  if (all.words == 0) return -1;
  const sets = changetype<usize>(words.at(0));
  const source6 = question.source6;
  const destination6 = question.destination6;
  let source: usize;
  let destination: usize;
  if (source6 != null && destination6 != null) {
    source = setOf6(all, SOURCE6, source6, sets);
    destination = setOf6(all, DESTINATION6, destination6, sets);
  } else {
    source = setOf(all, SOURCE4, question.source4, sets);
    destination = setOf(all, DESTINATION4, question.destination4, sets);
  }
  const protocol = setOf(all, HOOK_PROTOCOL, question.hook << 8 | question.protocol, sets);
  const sourcePort = setOf(all, SOURCE_PORT, question.sourcePort, sets);
  const destinationPort = setOf(all, DESTINATION_PORT, question.destinationPort, sets);
  for (let i: usize = 0, end = <usize>all.words * WORD; i < end; i += WORD) {
    const common = load<u64>(source + i) & load<u64>(destination + i) & load<u64>(protocol + i)
      & load<u64>(sourcePort + i) & load<u64>(destinationPort + i);
    if (common != 0) return <i32>(<u32>i << 3) + <i32>ctz(common);
  }
  return -1;
}
