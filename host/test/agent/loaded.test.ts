import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const AGENT = fileURLToPath(new URL("../../dist/agent/process.js", import.meta.url));
/** The Kubernetes client alone is 30 MiB: an agent that is told etcd's endpoints does without it. */
const MOST_MIB = 25;

test("an agent's modules leave the memory to the cluster's records", async () => {
  const script = `await import(${JSON.stringify(AGENT)}); gc(); console.log(process.memoryUsage().heapUsed);`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    "--input-type=module",
    "--eval",
    script,
  ]);
  expect(Number(stdout) / 2 ** 20).toBeLessThan(MOST_MIB);
});
