import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import { cniStatus } from "./cni-status.js";
import { HostFile } from "./host-file.js";

export interface InstallPlan {
  /** What is installed. */
  readonly program: Uint8Array;
  readonly conflist: string;
  /** Where the container runtime looks for them. */
  readonly programPath: string;
  readonly conflistPath: string;
  readonly log: Logger;
}

const LOOK_MS = 1000;
/** What the container runtime takes for a configuration: the first by name is the one it uses. */
const CONFIGURATION = /\.(conf|conflist|json)$/;

/** Keeps the CNI's program and configuration on the node. */
export class Installer {
  private readonly program: HostFile;
  private readonly conflist: HostFile;
  private lastProblem = "";

  constructor(private readonly plan: InstallPlan) {
    this.program = new HostFile(plan.programPath, plan.program, 0o755);
    this.conflist = new HostFile(plan.conflistPath, Buffer.from(plan.conflist), 0o644);
  }

  /**
   * Installs the program, and the configuration once pods can be added, since the node is Ready from then on; looks after both
   * until `signal` is aborted.
   * @param installed told once both are there
   */
  async run(signal: AbortSignal, installed: () => void): Promise<void> {
    let isAnswering = false;
    let isTold = false;
    while (!signal.aborted) {
      const isDone = await this.tried(async () => {
        await this.look(this.program);
        if (!isAnswering) await this.answering();
        isAnswering = true;
        await this.look(this.conflist);
      });
      if (isDone && !isTold) {
        isTold = true;
        await this.tellOthers();
        installed();
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The configuration first: without its program it would fail every pod. @throws SluiceError "host-file" */
  async remove(): Promise<void> {
    await this.conflist.remove();
    await this.program.remove();
    this.plan.log.info({ files: [this.conflist.path, this.program.path] }, "removed");
  }

  private async look(file: HostFile): Promise<void> {
    const wrong = await file.install();
    if (wrong !== undefined) this.plan.log.info({ file: file.path, was: wrong }, "installed");
  }

  /** @throws SluiceError "cni-status" */
  private async answering(): Promise<void> {
    const { programPath, conflist } = this.plan;
    const why = await cniStatus(programPath, conflist);
    if (why !== undefined) throw SluiceError.of("cni-status", programPath, why);
  }

  /** @returns whether it was done; what keeps it from that is logged once, and tried again */
  private async tried(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.lastProblem = "";
      return true;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      if (error.message !== this.lastProblem) this.plan.log.warn({ problems: error.problems }, "not installed yet");
      this.lastProblem = error.message;
      return false;
    }
  }

  private async tellOthers(): Promise<void> {
    const own = basename(this.plan.conflistPath);
    const [first = own] = (await readdir(dirname(this.plan.conflistPath)))
      .filter((name) => CONFIGURATION.test(name))
      .sort();
    if (first < own)
      this.plan.log.warn({ first, own }, "another CNI's configuration comes first: pods are not Sluice's");
  }
}

/** Removes what is in a folder, or the file; what the folder itself is mounted from stays. @throws SluiceError "host-file" */
export async function clear(path: string): Promise<void> {
  try {
    const names = await readdir(path);
    for (const name of names) await rm(join(path, name), { recursive: true, force: true });
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return;
    if (code === "ENOTDIR") return rm(path, { force: true });
    throw SluiceError.of("host-file", path, messageOf(error), { cause: error });
  }
}
