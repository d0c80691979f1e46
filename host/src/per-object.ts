import { commonEnds } from "./common-ends.js";

/** Makes something of an object once: what is asked of the same object again is what was made, for as long as the object lives. */
export function perObject<Key extends object, Value>(make: (object: Key) => Value): (object: Key) => Value {
  const made = new WeakMap<Key, Value>();
  return (object) => {
    const known = made.get(object);
    if (known !== undefined) return known;
    const value = make(object);
    made.set(object, value);
    return value;
  };
}

/** The same for each item of a list. A list with the beginning and the end of the one before costs what lies between. */
export function perItem<Item extends object, Value>(
  make: (item: Item) => Value,
): (items: readonly Item[]) => readonly Value[] {
  const of = perObject(make);
  let before: { items: readonly Item[]; values: readonly Value[] } = { items: [], values: [] };
  return (items) => {
    if (items === before.items) return before.values;
    const { first, last } = commonEnds(before.items, items);
    const between = items.slice(first, items.length - last).map(of);
    const end = before.values.slice(before.values.length - last);
    before = { items, values: before.values.slice(0, first).concat(between, end) };
    return before.values;
  };
}
