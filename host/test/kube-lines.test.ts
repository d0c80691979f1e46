import { expect, test } from "vitest";
import { jsonLines } from "../src/kube/lines.js";

async function parsed(...pieces: (string | Uint8Array)[]): Promise<unknown[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces)
        controller.enqueue(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
      controller.close();
    },
  });
  const values: unknown[] = [];
  for await (const value of jsonLines(stream, () => undefined)) values.push(value);
  return values;
}

const ROWS: [string, string[], unknown[]][] = [
  ["each line a value", ['{"a":1}\n{"a":2}\n'], [{ a: 1 }, { a: 2 }]],
  ["a line in several pieces", ['{"a"', ":", "1}", "\n"], [{ a: 1 }]],
  [
    "the end of one line and the beginning of the next in a piece",
    ['{"a":', '1}\n{"b":', "2}\n"],
    [{ a: 1 }, { b: 2 }],
  ],
  ["empty lines", ["\n\n1\n\n"], [1]],
  ["a last line without its end, which a broken connection leaves: not told", ["1\n", '{"a":'], [1]],
];
test.each(ROWS)("%s", async (_, pieces, values) => {
  expect(await parsed(...pieces)).toEqual(values);
});

test("a character that is cut in two", async () => {
  const bytes = new TextEncoder().encode('"é"\n');
  expect(await parsed(bytes.subarray(0, 2), bytes.subarray(2))).toEqual(["é"]);
});

test("a line that is no JSON is an error", async () => {
  await expect(parsed("<html>\n")).rejects.toThrow(SyntaxError);
});
