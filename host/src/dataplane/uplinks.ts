import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { z } from "zod";
import { isTaken } from "../config/checks.js";
import type { NodeSpec, Port } from "../config/schema.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";

// Interfaces that the dataplane takes from the node. native/uplink does it; each has a record in the state directory from
// before it is taken until it is back, and a guard, a process of its own that gives it back when this one ends in any way.

const PROGRAM = fileURLToPath(new URL("../../../build/native/sluice-uplink", import.meta.url));
const RECORD = /^uplink-(.+)\.json$/;
const GUARD_PAUSE_MS = 200;

const problemSchema = z.object({ code: z.string(), path: z.string(), message: z.string() });

/** Where a taken interface is. */
export const uplinkNetns = (node: string, device: string): string => `/run/netns/sluice-${node}-${device}`;

export function takenDevices(ports: readonly Port[]): string[] {
  return ports.filter(isTaken).map(({ device }) => device);
}

export class Uplinks {
  /** By device what its guard holds open for as long as it lives: its standard output. */
  private readonly guards = new Map<string, Readable>();
  private closed = false;

  constructor(
    private readonly node: string,
    private readonly folder: string,
    private readonly log: Logger,
  ) {}

  /** Takes those that are not taken yet. @returns them. @throws SluiceError, and they are the node's again */
  async take({ ports }: NodeSpec): Promise<string[]> {
    const taken: string[] = [];
    try {
      for (const device of takenDevices(ports)) {
        if (this.guards.has(device)) continue;
        await this.guard(device);
        taken.push(device);
        await run("take", {
          device,
          record: this.record(device),
          netns: uplinkNetns(this.node, device),
          owner: process.pid,
        });
        this.log.info({ device }, "took the interface");
      }
    } catch (error) {
      await this.giveBack(taken);
      throw placed(error, ports);
    }
    return taken;
  }

  async giveBack(devices: readonly string[]): Promise<void> {
    for (const device of devices) {
      const isGuarded = this.guards.delete(device); // its end is no news: it comes with the interface's return
      try {
        await run("give-back", { record: this.record(device) });
      } catch (error) {
        if (isGuarded) await this.guard(device);
        throw error;
      }
      this.log.info({ device }, "gave the interface back");
    }
  }

  /** Those that `spec` does not take, though this process or an earlier one did. */
  async giveBackOthers(spec: NodeSpec): Promise<void> {
    const wanted = new Set(takenDevices(spec.ports));
    await this.giveBack((await this.recorded()).filter((device) => !wanted.has(device)));
  }

  /** @param keep what is taken stays so, for the program that goes on in this process */
  async close(keep: boolean): Promise<void> {
    this.closed = true;
    if (!keep) await this.giveBack(await this.recorded());
  }

  private record(device: string): string {
    return join(this.folder, `uplink-${device}.json`);
  }

  private async recorded(): Promise<string[]> {
    try {
      return (await readdir(this.folder)).flatMap((name) => RECORD.exec(name)?.[1] ?? []);
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw error;
    }
  }

  /**
   * In a session of its own: what ends the dataplane's group does not end it. It takes the place of one that this process
   * has already, which is so after a start with other settings. One that ends too early is replaced.
   */
  private async guard(device: string): Promise<void> {
    const options = argumentsOf({ record: this.record(device), pid: process.pid });
    const { stdout } = spawn(PROGRAM, ["guard", ...options], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    }).once("error", (error) => stdout.destroy(error));
    await new Promise<void>((ready, fail) => {
      stdout.once("data", () => ready());
      stdout.once("error", (error) => fail(unusable(error)));
      stdout.once("close", () => fail(unusable(new Error("its guard ended at once"))));
    });
    if (stdout instanceof Socket) stdout.unref();
    this.guards.set(device, stdout);
    stdout.once("close", () => {
      if (this.closed || this.guards.get(device) !== stdout) return;
      this.log.warn({ device }, "the interface's guard ended; another one takes over");
      this.replaceGuard(device);
    });
  }

  private replaceGuard(device: string): void {
    this.guard(device).catch((error: unknown) => {
      this.log.error({ device, err: error }, "the interface has no guard; trying again");
      setTimeout(() => {
        if (!this.closed && this.guards.has(device)) this.replaceGuard(device);
      }, GUARD_PAUSE_MS).unref();
    });
  }
}

function argumentsOf(options: Record<string, string | number>): string[] {
  return Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
}

function unusable(error: unknown): SluiceError {
  return SluiceError.of("uplink-program-failed", PROGRAM, messageOf(error), { cause: error });
}

/** @throws SluiceError as the program says it */
async function run(command: string, options: Record<string, string | number>): Promise<void> {
  const child = spawn(PROGRAM, [command, ...argumentsOf(options)], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await new Promise<number | null>((done, fail) => {
    child.once("error", (error) => fail(unusable(error)));
    child.once("close", done);
  });
  if (code !== 0) throw problemOf(said) ?? unusable(new Error(`it ended with ${code ?? "a signal"}: ${said}`));
}

function problemOf(line: string): SluiceError | undefined {
  try {
    return new SluiceError([problemSchema.parse(JSON.parse(line))]);
  } catch {
    return undefined; // other words of the program, which unusable() passes on
  }
}

/** With the port that it is about, where the program has none. */
function placed(error: unknown, ports: readonly Port[]): unknown {
  if (!(error instanceof SluiceError)) return error;
  const index = ports.findIndex(isTaken);
  const problems = error.problems.map((problem) =>
    problem.path === "/device" ? { ...problem, path: `/ports/${index}/device` } : problem,
  );
  return new SluiceError(problems, { cause: error });
}
