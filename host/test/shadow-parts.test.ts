import { describe, expect, test } from "vitest";
import type { Shadow, ShadowReport } from "../src/dataplane/protocol.js";
import { inParts } from "../src/dataplane/shadow-parts.js";

type Part = Partial<ShadowReport> | undefined;

/** Runs with these parts, the last one again and again. @returns what came of it, and the limits of each part */
async function run(parts: readonly Part[], limits: Partial<Shadow> = {}) {
  const asked: Shadow[] = [];
  const report = await inParts(
    "guard",
    { packets: 100, maxDifferences: 0, timeoutMs: 300, ...limits },
    async (limit) => {
      asked.push(limit);
      await new Promise((wake) => setTimeout(wake, 10));
      const part = parts[Math.min(asked.length, parts.length) - 1];
      const none = {
        plugin: "guard",
        passed: false,
        packets: 0,
        differences: 0,
        failures: 0,
        first: "the time ran out",
      };
      return part && { ...none, ...part };
    },
  );
  return { report, asked };
}

describe("a shadow run in parts", () => {
  test("passes once enough packets were the same", async () => {
    const { report, asked } = await run([{ packets: 60 }, { packets: 40, passed: true }]);
    expect(report).toEqual({ plugin: "guard", passed: true, packets: 100, differences: 0, failures: 0, first: "" });
    expect(asked.map(({ packets }) => packets)).toEqual([100, 40]);
  });

  test("judges what was seen when its time is over, also nothing", async () => {
    const { report, asked } = await run([{}]);
    expect(report).toMatchObject({ passed: true, packets: 0 });
    expect(asked.length).toBeGreaterThan(1);
  });

  const REFUSED: [what: string, parts: Part[], limits: Partial<Shadow>, report: object][] = [
    ["a failure", [{ packets: 9 }, { packets: 1, failures: 1, first: "trap" }], {}, { packets: 10, first: "trap" }],
    [
      "more differences than allowed, in parts that were not too many alone",
      [
        { packets: 5, differences: 2, first: "one" },
        { packets: 5, differences: 2, first: "two" },
      ],
      { maxDifferences: 3 },
      { differences: 4, first: "one" },
    ],
  ];
  test.each(REFUSED)("ends with %s", async (_, parts, limits, expected) => {
    const { report, asked } = await run(parts, limits);
    expect(report).toMatchObject({ passed: false, ...expected });
    expect(asked.length).toBe(parts.length);
  });

  test("passes with as many differences as allowed", async () => {
    const { report } = await run([{ packets: 100, differences: 3, first: "one" }], { maxDifferences: 3 });
    expect(report).toMatchObject({ passed: true, differences: 3, first: "one" });
  });

  test("of a stage that is not live has nothing to say", async () => {
    expect((await run([undefined])).report).toMatchObject({ passed: true, packets: 0 });
  });
});
