import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { Background } from "../support/process.js";

/** What the attacks make and find: logs, grown corpora, inputs that broke something. */
export const folder = join(root, "build", "attack");

const TAIL_LINES = 60;

/** Runs a program to its end, its output in `log`. Throws with the log's end when the program fails or takes too long. */
export async function runLogged(
  cleanup: Cleanup,
  log: string,
  argv: readonly string[],
  options: { env?: Record<string, string>; timeoutMs: number },
): Promise<string> {
  const logFile = join(folder, log);
  mkdirSync(dirname(logFile), { recursive: true });
  rmSync(logFile, { force: true });
  const program = new Background(argv, { env: options.env ?? {}, logFile });
  cleanup.defer(argv.join(" "), async () => {
    if (program.running) process.kill(-program.pid); // its whole group: a build has many children
    await program.stop();
  });
  const { status } = await program.finish(options.timeoutMs);
  const text = readFileSync(logFile, "utf8");
  if (status !== 0) {
    const tail = text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
    throw new Error(`${argv[0]} ended with ${status}; whole log: ${logFile}\n${tail}`);
  }
  return text;
}
