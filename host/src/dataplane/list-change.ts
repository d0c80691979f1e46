import { isDeepStrictEqual } from "node:util";

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

/** The list with the changes made in it; the same list where there are none. */
export function withChanges<Item, Key>(
  items: Item[],
  { set, remove }: ListChange<Item, Key>,
  idOf: (item: Item) => string,
  idOfKey: (key: Key) => string,
): Item[] {
  if (set.length === 0 && remove.length === 0) return items;
  const next = new Map(items.map((item) => [idOf(item), item]));
  for (const key of remove) next.delete(idOfKey(key));
  for (const item of set) next.set(idOf(item), item);
  return [...next.values()];
}

/** Most changes of a long list are few and in one place. */
function withoutCommonEnds<Item>(from: readonly Item[], to: readonly Item[]): [readonly Item[], readonly Item[]] {
  const shorter = Math.min(from.length, to.length);
  let first = 0;
  while (first < shorter && from[first] === to[first]) first++;
  let ends = 0;
  while (ends < shorter - first && from[from.length - 1 - ends] === to[to.length - 1 - ends]) ends++;
  return [from.slice(first, from.length - ends), to.slice(first, to.length - ends)];
}
