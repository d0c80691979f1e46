import { join } from "node:path";
import { root } from "../support/dataplane.js";
import type { Attack } from "./attack.js";
import { runLogged } from "./command.js";

const HOURS_MS = 4 * 3_600_000;

/** Tests of `npm test` that are attacks, here in full: a hundred kills, ten thousand swaps. */
const files = ["hostile-stages", "endurance", "faults", "bad-input"].map((name) => `test/e2e/${name}.test.ts`);

export const nodeAttacks: Attack = {
  name: "nodes",
  about: "running nodes: stages written to get out, kills, swaps without end, full tables and disks, bad input",
  async run({ cleanup, short }) {
    if (short) return "left to npm test, which does each a few times";
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const argv = [process.execPath, vitest, "run", "--root", root, "--project", "e2e", ...files];
    const options = { env: { SLUICE_ATTACK: "full" }, timeoutMs: HOURS_MS };
    const text = await runLogged(cleanup, "nodes.log", argv, options);
    return /Tests .*/.exec(text)?.[0] ?? "passed";
  },
};
