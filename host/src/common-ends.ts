/** How many items two lists have in common at their beginnings, and at their ends besides. */
export function commonEnds<Item>(from: readonly Item[], to: readonly Item[]): { first: number; last: number } {
  const shorter = Math.min(from.length, to.length);
  let first = 0;
  while (first < shorter && from[first] === to[first]) first++;
  let last = 0;
  while (last < shorter - first && from[from.length - 1 - last] === to[to.length - 1 - last]) last++;
  return { first, last };
}
