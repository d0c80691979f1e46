import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { NativeStatus } from "@sluice/native";
import type { Cleanup } from "./cleanup.js";
import type { Namespace } from "./namespace.js";
import type { NodeFile } from "./node-file.js";
import { Background, CommandError, eventually, type Output, run } from "./process.js";

/** The repository's root: this file is test/support/*.ts, or test/dist/support/*.js once compiled. */
export const root = fileURLToPath(
  new URL(import.meta.url.includes("/dist/") ? "../../.." : "../..", import.meta.url),
).replace(/\/$/, "");
const SLUICE = [process.execPath, `${root}/host/bin/sluice.js`];
const READY_MS = 20_000;
const OBSERVING_MS = 10_000;

/** What `sluice status -o json` prints. */
export interface NodeStatus {
  name: string;
  pid: number;
  version: string;
  native: NativeStatus;
  observers: number;
}

/** A running `sluice run -f` in a namespace, and its command line. */
export class Dataplane {
  #program: Background | undefined;

  constructor(
    readonly namespace: Namespace,
    readonly folder: string,
    private readonly cleanup: Cleanup,
  ) {
    mkdirSync(folder, { recursive: true });
  }

  get file(): string {
    return `${this.folder}/node.yaml`;
  }

  get logFile(): string {
    return `${this.folder}/dataplane.log`;
  }

  /** What it has written so far. */
  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  get socket(): string {
    return `${this.folder}/sluice.sock`;
  }

  get pid(): number {
    if (this.#program === undefined) throw new Error("the dataplane was not started");
    return this.#program.pid;
  }

  /** JSON is YAML; the file reads like any other. */
  write(node: NodeFile): void {
    writeFileSync(this.file, `${JSON.stringify(node, undefined, 2)}\n`);
  }

  /** Starts the dataplane from `node` and waits until it answers. */
  async start(node: NodeFile, options: { sharesMounts?: boolean } = {}): Promise<void> {
    this.write(node);
    const argv = [...SLUICE, "run", "-f", this.file, "--socket", this.socket];
    const program = this.namespace.start(this.cleanup, argv, { logFile: this.logFile, ...options });
    this.#program = program;
    await eventually(`the dataplane of ${node.name}`, READY_MS, async () => {
      if (!program.running) throw new CommandError(argv, { ...(await program.ended), stdout: this.log() });
      return (await this.sluice("status")).status === 0 ? true : undefined;
    });
  }

  /** Ends it as an operator would (SIGTERM), or as a crash does (SIGKILL). */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Output> {
    if (this.#program === undefined) throw new Error("the dataplane was not started");
    return this.#program.stop(signal);
  }

  /** The command line of `sluice <args>`. */
  command(args: readonly string[]): string[] {
    return [...SLUICE, ...args];
  }

  /** Runs `sluice <args>` against this dataplane, whatever comes of it. */
  sluice(...args: string[]): Promise<Output> {
    return run([...SLUICE, ...args, "--socket", this.socket], { timeoutMs: 60_000 });
  }

  /** Runs `sluice <args>`; throws unless it succeeds. Returns what it printed. */
  async must(...args: string[]): Promise<string> {
    const output = await this.sluice(...args);
    if (output.status !== 0) throw new CommandError(["sluice", ...args], output);
    return output.stdout;
  }

  /** `sluice <args> -o json`, parsed; throws unless it succeeds. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.must(...args, "-o", "json")) as T;
  }

  /** Starts `sluice <args>` in the background, and waits until it says on stderr that it looks at packets. */
  async observe(...args: string[]): Promise<Background> {
    const program = new Background([...SLUICE, ...args, "--socket", this.socket]);
    this.cleanup.defer(`sluice ${args.join(" ")}`, async () => {
      await program.stop();
    });
    await eventually(`sluice ${args.join(" ")}`, OBSERVING_MS, async () => {
      if (!program.running) throw new CommandError(["sluice", ...args], await program.ended);
      return /waiting for|capturing at/.test(program.stderr) ? true : undefined;
    });
    return program;
  }

  status(): Promise<NodeStatus> {
    return this.json("status");
  }

  /** Makes the node what `node` says, as one transaction. */
  async apply(node: NodeFile): Promise<void> {
    this.write(node);
    await this.must("apply", "-f", this.file);
  }
}
