import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journal } from "../../src/ipam/journal.js";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-test-"));
  file = join(folder, "j");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function recordsOf(path: string): Promise<unknown[]> {
  const { journal, records } = await Journal.open(path);
  await journal.close();
  return records;
}

describe("a journal", () => {
  test("gives what was added, in order, also of appends at once", async () => {
    const { journal } = await Journal.open(file);
    await Promise.all([1, 2, 3].map((n) => journal.append({ n })));
    await journal.append({ n: 4 });
    await journal.close();
    expect(await recordsOf(file)).toEqual([1, 2, 3, 4].map((n) => ({ n })));
  });

  test("cut anywhere gives the whole records before the cut, and goes on from there", async () => {
    const { journal } = await Journal.open(file);
    for (const n of [1, 22, 333]) await journal.append({ n });
    await journal.close();
    const bytes = await readFile(file);
    for (let length = 0; length <= bytes.length; length++) {
      const cut = join(folder, `cut${length}`);
      await writeFile(cut, bytes.subarray(0, length));
      const whole = bytes.subarray(0, length).toString().split("\n").length - 1;
      const { journal: again, records } = await Journal.open(cut);
      expect(records).toEqual([1, 22, 333].slice(0, whole).map((n) => ({ n })));
      await again.append({ more: true });
      await again.close();
      expect(await recordsOf(cut)).toEqual([...records, { more: true }]);
    }
  });

  test("with a broken record in the middle is refused with its place", async () => {
    await writeFile(file, '{"n":1}\nnonsense\n{"n":3}\n');
    await expect(Journal.open(file)).rejects.toThrow(`journal-corrupt ${file}:2: `);
  });

  test("that is replaced keeps what comes while it is, and a replacement that was not finished is none", async () => {
    const { journal } = await Journal.open(file);
    let sum = 0;
    const add = (n: number) => {
      sum += n;
      return journal.append({ n });
    };
    const added = [add(1), add(2)];
    let atReplacement = 0;
    const replaced = journal.replace(() => {
      atReplacement = sum;
      return [{ sum }];
    });
    const meanwhile = [add(4)];
    await Promise.all([...added, replaced, ...meanwhile]);
    await add(8);
    await journal.close();
    const records = (await recordsOf(file)) as { sum?: number; n?: number }[];
    expect(records[0]).toEqual({ sum: atReplacement });
    expect(atReplacement + records.slice(1).reduce((total, { n = 0 }) => total + n, 0)).toBe(15);
    await writeFile(`${file}.part`, '{"sum"');
    expect(await recordsOf(file)).toEqual(records);
  });

  test("on a disk that takes nothing says so to all who wait, and works again when it does", async () => {
    const { journal } = await Journal.open(file);
    await journal.append({ n: 1 });
    await journal.close();
    await expect(journal.append({ n: 2 })).rejects.toThrow("journal-unusable");
    await appendFile(file, "");
    await truncate(file, 8);
    expect(await recordsOf(file)).toEqual([{ n: 1 }]);
  });
});
