import { readFile, rm, stat } from "node:fs/promises";
import { writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";

/** A file of the host's that is to be as Sluice has it. */
export class HostFile {
  /** Of the file when it was last found to be right: size, time and inode. */
  private seen = "";

  constructor(
    readonly path: string,
    private readonly data: Uint8Array,
    private readonly mode: number,
  ) {}

  /**
   * Writes it where it is missing or another one; who reads it meanwhile finds the old one or the new one.
   * @returns what was wrong with it, undefined: nothing
   * @throws SluiceError "host-file"
   */
  async install(): Promise<"missing" | "changed" | undefined> {
    return this.tried(async () => {
      const now = await signature(this.path);
      if (now !== undefined && now === this.seen) return undefined;
      const wrong = await this.wrong(now);
      if (wrong !== undefined) await writeDurably(this.path, this.data, this.mode);
      this.seen = (await signature(this.path)) ?? "";
      return wrong;
    });
  }

  /** No error where it is not there. @throws SluiceError "host-file" */
  async remove(): Promise<void> {
    await this.tried(() => rm(this.path, { force: true }));
  }

  private async wrong(now: string | undefined): Promise<"missing" | "changed" | undefined> {
    if (now === undefined) return "missing";
    const { mode } = await stat(this.path);
    const isSame = (mode & 0o777) === this.mode && (await readFile(this.path)).equals(this.data);
    return isSame ? undefined : "changed";
  }

  private async tried<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw SluiceError.of("host-file", this.path, messageOf(error), { cause: error });
    }
  }
}

/** Undefined: it is not there. */
async function signature(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
