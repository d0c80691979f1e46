import { isDeepStrictEqual } from "node:util";
import { commonEnds } from "../common-ends.js";

/** What makes one list of another, but for the order: what is set takes the place of what has the same key. */
export interface ListChange<Item, Key> {
  set: Item[];
  remove: Key[];
}

/** @param idOf tells items of a list apart */
export function changed<Item, Key>(
  from: readonly Item[],
  to: readonly Item[],
  idOf: (item: Item) => string,
  keyOf: (item: Item) => Key,
): ListChange<Item, Key> {
  const [before, after] = withoutCommonEnds(from, to);
  const old = new Map(before.map((item) => [idOf(item), item]));
  const set = after.filter((item) => {
    const id = idOf(item);
    const known = old.get(id);
    old.delete(id);
    return known !== item && !isDeepStrictEqual(known, item);
  });
  return { set, remove: [...old.values()].map(keyOf) };
}

/** Whether withChanges() gives the items in the order that they have in `to`. */
export function keepsOrder<Item>(from: readonly Item[], to: readonly Item[], idOf: (item: Item) => string): boolean {
  const [before, after] = withoutCommonEnds(from, to);
  const places = new Map(before.map((item, index) => [idOf(item), index]));
  // New ones come last, which those before a common end do not.
  const placeOfNew = from.length > 0 && from.at(-1) === to.at(-1) ? -1 : before.length;
  let last = 0;
  return after.every((item) => {
    const place = places.get(idOf(item)) ?? placeOfNew;
    const isInOrder = place >= last;
    last = place;
    return isInOrder;
  });
}

/** Items of a list by their ids. It goes over to the list that a change makes of this one, so that a change costs little. */
const indexes = new WeakMap<readonly unknown[], Map<string, unknown>>();

/** The list with the changes made in it, without two of one id; the same list where there are none. */
export function withChanges<Item extends object, Key>(
  items: Item[],
  { set, remove }: ListChange<Item, Key>,
  idOf: (item: Item) => string,
  idOfKey: (key: Key) => string,
): Item[] {
  if (set.length === 0 && remove.length === 0) return items;
  const known = indexes.get(items) as Map<string, Item> | undefined;
  const index = known ?? new Map(items.map((item) => [idOf(item), item]));
  indexes.delete(items);
  const removed = new Set(remove.map((key) => take(index, idOfKey(key))));
  const replaced = new Map<Item, Item>();
  const added: Item[] = [];
  for (const [id, item] of new Map(set.map((each) => [idOf(each), each]))) {
    const old = index.get(id);
    index.set(id, item);
    if (old === undefined) added.push(item);
    else replaced.set(old, item);
  }
  const kept = removed.size === 0 ? items : items.filter((item) => !removed.has(item));
  const next = (replaced.size === 0 ? kept : kept.map((item) => replaced.get(item) ?? item)).concat(added);
  if (next.length !== index.size) return [...index.values()];
  indexes.set(next, index);
  return next;
}

function take<Item>(index: Map<string, Item>, id: string): Item | undefined {
  const item = index.get(id);
  index.delete(id);
  return item;
}

/** Most changes of a long list are few and in one place. */
function withoutCommonEnds<Item>(from: readonly Item[], to: readonly Item[]): [readonly Item[], readonly Item[]] {
  const { first, last } = commonEnds(from, to);
  return [from.slice(first, from.length - last), to.slice(first, to.length - last)];
}
