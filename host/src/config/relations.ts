import { perObject } from "../per-object.js";
import { contains, formatPrefix, parseAddress, parsePrefix } from "./addresses.js";
import { type PlacedProblem, placed } from "./explain.js";
import { hasPeer, type NodeFile, type NodeSpec, type Port, type Route } from "./schema.js";
import { suggestion } from "./suggest.js";

/** What a node file and a node spec have in common: all that relations are checked on. */
export type CheckedNode = NodeFile | NodeSpec;

export function duplicateNames(items: readonly { name: string }[], key: string): PlacedProblem[] {
  return duplicates(items, (item) => item.name).map(({ index, value, first }) =>
    placed([key, index, "name"], `"${value.name}" is also the name of ${key}[${first}]; allowed: a name of its own`),
  );
}

export function duplicates<Item>(items: readonly Item[], keyOf: (item: Item) => string | undefined) {
  const seen = new Map<string, number>();
  const found: { index: number; value: Item; first: number }[] = [];
  for (const [index, value] of items.entries()) {
    const key = keyOf(value);
    if (key === undefined) continue;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else found.push({ index, value, first });
  }
  return found;
}

/** A problem when `name` is none of `known`. */
export function checkReference(
  name: string,
  known: readonly string[],
  what: string,
  at: readonly PropertyKey[],
): PlacedProblem[] {
  if (known.includes(name)) return [];
  const allowed = known.length === 0 ? `a ${what} of this file (there are none)` : `one of ${known.join(", ")}`;
  return [placed(at, `no ${what} is called "${name}"${suggestion(name, known)}; allowed: ${allowed}`)];
}

export function onLink(address: string, port: Port): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  const prefixes = [...port.addresses, ...(hasPeer(port) ? port.peerAddresses : [])];
  return prefixes.some((text) => {
    const prefix = parsePrefix(text);
    return prefix !== undefined && contains(prefix, parsed);
  });
}

/** What tells a node's routes apart. */
export const routeId = perObject(
  ({ table, prefix }: Pick<Route, "table" | "prefix">): string => `${table} ${samePrefix(prefix)}`,
);

/** Lists of routes that were made so that no two have one id: they need not be searched for such. */
export const distinctRoutes = new WeakSet<readonly Route[]>();

/** The texts of prefixes that were met last, canonical: a node has thousands of them, and the same again in each transaction. */
const canonical = new Map<string, string>();
const MOST_CANONICAL = 100_000;

export function samePrefix(text: string): string {
  const known = canonical.get(text);
  if (known !== undefined) return known;
  const prefix = parsePrefix(text);
  const same = prefix === undefined ? text : formatPrefix(prefix);
  if (canonical.size >= MOST_CANONICAL) canonical.clear();
  canonical.set(text, same);
  return same;
}
