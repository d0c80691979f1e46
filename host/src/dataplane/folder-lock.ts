import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, SluiceError, systemCode } from "../errors.js";

/**
 * Keeps a folder to one process. The file `lock` in it holds "pid start-time" of the owner; a dead owner's is taken over,
 * and the start time tells the owner from a later process of the same number.
 */
export class FolderLock {
  private constructor(private readonly file: string) {}

  /** @throws SluiceError "already-running" while another process has it, "store-unusable" */
  static async acquire(folder: string): Promise<FolderLock> {
    const file = join(folder, "lock");
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      while (!(await create(file))) {
        const owner = await ownerOf(file);
        if (owner !== undefined) {
          const message = `process ${owner} runs with this state directory; stop it first, or give each node a stateDir of its own`;
          throw SluiceError.of("already-running", folder, message);
        }
        await rm(file, { force: true });
      }
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw SluiceError.of("store-unusable", folder, messageOf(error), { cause: error });
    }
    return new FolderLock(file);
  }

  async release(): Promise<void> {
    await rm(this.file, { force: true });
  }
}

async function create(file: string): Promise<boolean> {
  try {
    await writeFile(file, `${process.pid} ${await startTime(process.pid)}`, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** The process that holds the lock, or undefined when it is dead. */
async function ownerOf(file: string): Promise<number | undefined> {
  const [pid = 0, started] = (await readFile(file, "utf8")).split(" ").map(Number);
  const now = await startTime(pid);
  return now !== undefined && now === started ? pid : undefined;
}

/** In clock ticks since boot: field 22 of /proc/<pid>/stat, counted from the end of the name in brackets. */
async function startTime(pid: number): Promise<number | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ESRCH") return undefined;
    throw error;
  }
}
