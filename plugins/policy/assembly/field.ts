import { intervals, intervals6, Rules, words } from "./tables";

/** Where a rule's range of values starts, or the value behind its end. Values of 32 bits at most have a `high` of 0. */
class Edge {
  constructor(public high: u64, public low: u64, public rule: i32, public isStart: bool) {}
}

function compareEdges(a: Edge, b: Edge): i32 {
  if (a.high != b.high) return a.high < b.high ? -1 : 1;
  return a.low < b.low ? -1 : a.low > b.low ? 1 : 0;
}

/** Collects which values of one field each rule allows, and builds the field's intervals by a sweep over them. */
export class Field {
  private edges: Array<Edge> = [];
  private always: Array<i32> = [];

  /** The rule allows every value. */
  allowAll(rule: i32): void { this.always.push(rule); }

  allow(rule: i32, from: u64, to: u64): void {
    this.edges.push(new Edge(0, from, rule, true));
    const isLast = to == <u64>u32.MAX_VALUE;
    if (!isLast) this.edges.push(new Edge(0, to + 1, rule, false));
  }

  allow128(rule: i32, fromHigh: u64, fromLow: u64, toHigh: u64, toLow: u64): void {
    this.edges.push(new Edge(fromHigh, fromLow, rule, true));
    const isLast = (toHigh & toLow) == u64.MAX_VALUE;
    if (!isLast) this.edges.push(new Edge(toLow == u64.MAX_VALUE ? toHigh + 1 : toHigh, toLow + 1, rule, false));
  }

  build(all: Rules, number: u32, isWide: bool, sets: Sets): void {
    const first = isWide ? intervals6.length : intervals.length;
    const current = new StaticArray<u64>(all.words);
    const depth = new StaticArray<u16>(all.words << 6);
    for (let i = 0; i < this.always.length; i++) change(current, depth, this.always[i], true);
    const edges = this.edges;
    edges.sort(compareEdges);
    let at = 0;
    let high: u64 = 0;
    let low: u64 = 0;
    while (true) {
      for (; at < edges.length && edges[at].high == high && edges[at].low == low; at++) {
        change(current, depth, edges[at].rule, edges[at].isStart);
      }
      if (!append(isWide, high, low, sets.number(current))) return;
      if (at == edges.length) break;
      high = edges[at].high;
      low = edges[at].low;
    }
    all.setRange(number, first, (isWide ? intervals6.length : intervals.length) - first);
  }
}

/** Several ranges of a rule may overlap: its bit stays until all of them are over. */
function change(set: StaticArray<u64>, depth: StaticArray<u16>, rule: i32, isStart: bool): void {
  depth[rule] = isStart ? depth[rule] + 1 : depth[rule] - 1;
  const bit = (<u64>1) << (rule & 63);
  if (depth[rule] == 0) set[rule >> 6] &= ~bit;
  else set[rule >> 6] |= bit;
}

/** False when the segment is too small. */
function append(isWide: bool, high: u64, low: u64, set: i32): bool {
  if (set < 0) return false;
  if (isWide) {
    const interval = intervals6.add();
    if (interval == null) return false;
    interval.high = high;
    interval.low = low;
    interval.set = set;
  } else {
    const interval = intervals.add();
    if (interval == null) return false;
    interval.start = <u32>low;
    interval.set = set;
  }
  return true;
}

/** The sets of all fields, each stored once. */
export class Sets {
  private known: Map<u64, i32> = new Map<u64, i32>();
  private count: i32 = 0;

  /** Number of a set, stored when it is new; -1 when the segment is too small. */
  number(set: StaticArray<u64>): i32 {
    let hash: u64 = 0x9e3779b97f4a7c15;
    for (let i = 0; i < set.length; i++) hash = (hash ^ set[i]) * 0xd6e8feb86659fd93 ^ hash >>> 29;
    if (this.known.has(hash)) {
      const found = this.known.get(hash);
      if (this.isSame(found, set)) return found;
    }
    for (let i = 0; i < set.length; i++) {
      const word = words.add();
      if (word == null) return -1;
      word.bits = set[i];
    }
    this.known.set(hash, this.count);
    return this.count++;
  }

  private isSame(number: i32, set: StaticArray<u64>): bool {
    for (let i = 0; i < set.length; i++) {
      if (words.at(number * set.length + i).bits != set[i]) return false;
    }
    return true;
  }
}
