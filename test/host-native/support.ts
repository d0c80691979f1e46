import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SLUICE = join(ROOT, "host/bin/sluice.js");

export interface Output {
  code: number | null;
  out: string;
  err: string;
}

/** A folder, the `sluice run` processes in it, and an end to both. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), "host-native-"));
  readonly socket = join(this.folder, "s.sock");
  private readonly running: ChildProcessWithoutNullStreams[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** A node file; `more` comes after what every test has. */
  node(more: string, settings = ""): string {
    const text = `name: host-native\n${settings}memory: {size: 128, hugepages: never, buffers: 4096, jumbos: 64}
stateDir: ${this.path("state")}\ncacheDir: ${this.path("cache")}\nlogLevel: info\nconntrack: {maxFlows: 4096, persist: false}\n${more}`;
    return this.write("node.yaml", text);
  }

  /** Starts `sluice run` and waits until packets flow. */
  async run(...args: string[]): Promise<Running> {
    const child = spawn(process.execPath, [SLUICE, "run", ...args, "--socket", this.socket]);
    this.running.push(child);
    const output = collect(child);
    const ready = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    await Promise.race([ready, output]);
    if (child.exitCode !== null) throw new Error(`sluice run ended:\n${(await output).err}`);
    return {
      pid: child.pid ?? 0,
      stop: async (signal) => {
        child.kill(signal);
        return output;
      },
    };
  }

  /** A command against the running node. */
  sluice(...args: string[]): Promise<Output> {
    return this.command(...args, "--socket", this.socket);
  }

  command(...args: string[]): Promise<Output> {
    return script(SLUICE, args);
  }

  async json(...args: string[]): Promise<unknown> {
    const { code, out, err } = await this.sluice(...args, "-o", "json");
    if (code !== 0) throw new Error(`sluice ${args.join(" ")}: ${err}`);
    return JSON.parse(out) as unknown;
  }

  async end(): Promise<void> {
    for (const child of this.running) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Running {
  pid: number;
  stop(signal: NodeJS.Signals): Promise<Output>;
}

/** A script of Node's, to its end. */
export function script(path: string, args: readonly string[], env = process.env): Promise<Output> {
  return collect(spawn(process.execPath, [path, ...args], { env }));
}

async function collect(child: ChildProcessWithoutNullStreams): Promise<Output> {
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** The shape of a value: its keys and the types of what they hold, with lists by their first element. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, shapeOf(child)]));
}
