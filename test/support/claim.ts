import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/**
 * Claims `name` for this process, one of a machine; the claim ends with it, however it ends. Returns undefined, or the id of
 * the process that has it. `word`: in the command line of every process that may have it.
 */
export function claim(name: string, word: string): number | undefined {
  const lock = `/run/${name}.pid`;
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    process.once("exit", () => rmSync(lock, { force: true }));
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const owner = Number(readFileSync(lock, "utf8"));
  const commandLine = `/proc/${owner}/cmdline`;
  if (existsSync(commandLine) && readFileSync(commandLine, "utf8").includes(word)) return owner;
  rmSync(lock, { force: true });
  return claim(name, word);
}
