import { describe, expect, test } from "vitest";
import { changed, type ListChange, withChanges } from "../src/dataplane/list-change.js";

interface Item {
  readonly id: string;
  readonly value: number;
}

const idOf = ({ id }: Item) => id;
const itself = (id: string) => id;
const items = (text: string): Item[] => [...text].map((id) => ({ id, value: 0 }));
const made = (from: Item[], change: Partial<ListChange<Item, string>>) =>
  withChanges(from, { set: [], remove: [], ...change }, idOf, itself);
const text = (list: readonly Item[]) => list.map(({ id, value }) => `${id}${value || ""}`).join(" ");

/** Description, the list before, what is set, what is removed, the list after. */
const ROWS: [string, string, Item[], string[], string][] = [
  ["what is new comes last", "abc", items("d"), [], "a b c d"],
  ["what is set again keeps its place", "abc", [{ id: "b", value: 1 }], [], "a b1 c"],
  ["what is removed is gone", "abc", [], ["b"], "a c"],
  ["what is removed and set is new", "abc", [{ id: "a", value: 1 }], ["a"], "b c a1"],
  ["what is removed and not there changes nothing", "abc", [], ["x"], "a b c"],
  [
    "of what is set twice the later one counts",
    "ab",
    [
      { id: "c", value: 1 },
      { id: "a", value: 2 },
      { id: "c", value: 3 },
    ],
    [],
    "a2 b c3",
  ],
  ["of two of one id the later one stays", "aba", items("c"), [], "a b c"],
];

describe("a list with changes made in it", () => {
  test.each(ROWS)("%s", (_, before, set, remove, after) => {
    expect(text(made(items(before), { set, remove }))).toBe(after);
  });

  test("is the same one where there are none", () => {
    const list = items("ab");
    expect(made(list, {})).toBe(list);
  });

  test("takes more than a function has arguments", () => {
    const many = Array.from({ length: 200_000 }, (_, index) => ({ id: `${index}`, value: 0 }));
    expect(made(items("ab"), { set: many })).toHaveLength(200_002);
  });

  test("can be made more than once of the same one, as after a change that was refused", () => {
    const list = items("abc");
    expect(text(made(list, { remove: ["a"], set: items("d") }))).toBe("b c d");
    expect(text(list)).toBe("a b c");
    const next = made(list, { set: [{ id: "c", value: 1 }] });
    expect(text(next)).toBe("a b c1");
    expect(text(made(next, { remove: ["b"] }))).toBe("a c1");
    expect(text(made(list, { remove: ["c"] }))).toBe("a b");
  });

  test("is what was wanted after any number of changes, each of the list before", () => {
    let list: Item[] = [];
    let wanted = new Map<string, Item>();
    for (let step = 0; step < 300; step++) {
      wanted = new Map(wanted);
      for (let i = 0; i < 3; i++) {
        const id = `${(step * 7 + i * 13) % 40}`;
        if ((step + i) % 3 === 0) wanted.delete(id);
        else wanted.set(id, { id, value: step });
      }
      const target = [...wanted.values()];
      list = made(list, changed(list, target, idOf, idOf));
      expect(new Set(list)).toEqual(new Set(target));
      expect(list).toHaveLength(target.length);
    }
  });
});
