// A stage in a packet thread of the native dataplane, where the package @sluice/native is installed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigureError, type Row, type RowResult, type StageExecutor } from "./rows.js";

/** What this needs of @sluice/native. */
interface Dataplane {
  apply(state: string, configs: readonly string[]): Promise<unknown>;
  runStage(request: string): Promise<string>;
  stop(): Promise<void>;
}
interface Native {
  Dataplane: { start(options: object): Promise<{ dataplane: Dataplane }> };
}

const PACKAGE = "@sluice/native";

/** The native part is asked for, and not there. */
export class NativeMissingError extends Error {
  override readonly name = "NativeMissingError";
}

/** Whether the package is installed beside the SDK. */
export function hasNative(): boolean {
  try {
    import.meta.resolve(PACKAGE);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return false;
    throw error;
  }
}

let running: Promise<{ dataplane: Dataplane; folder: string }> | undefined;

/** One dataplane a process, without ports: it has one packet thread and keeps nothing. */
async function start(): Promise<{ dataplane: Dataplane; folder: string }> {
  let native: Native;
  try {
    native = (await import(PACKAGE)) as Native;
  } catch (cause) {
    const remedy = "install and build it, or set SLUICE_EXECUTOR=node";
    throw new NativeMissingError(`stages are to run in a packet thread, but ${PACKAGE} cannot be loaded; ${remedy}`, {
      cause,
    });
  }
  const folder = mkdtempSync(join(tmpdir(), "sluice-stage-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { dataplane } = await native.Dataplane.start({
    ...{ name: `stage-${process.pid}`, workers: 1, memoryMb: 256, buffers: 4096, jumbos: 64, hugepages: "never" },
    ...{ stateDir: folder, cacheDir: join(folder, "cache") },
  });
  await dataplane.apply(JSON.stringify({ conntrack: { maxFlows: 1024 } }), []);
  return { dataplane, folder };
}

/** Stops the packet thread, if there is one. */
export async function stopNative(): Promise<void> {
  if (!running) return;
  const { dataplane, folder } = await running;
  running = undefined;
  await dataplane.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** The packet thread's reply to a request of native/src/control/stage_runner.h. Throws NativeMissingError, ConfigureError. */
export async function askPacketThread(request: object): Promise<unknown> {
  running ??= start();
  const { dataplane } = await running;
  try {
    return JSON.parse(await dataplane.runStage(JSON.stringify(request)));
  } catch (error) {
    if (error instanceof Error && (error as { path?: unknown }).path === "/row/config")
      throw new ConfigureError(error.message);
    throw error;
  }
}

/** Runs a stage's rows in a packet thread. */
export class NativeStage implements StageExecutor {
  /** Of the executor, for messages. */
  readonly name = "packet thread";
  private constructor(private readonly wasm: string) {}

  /** Throws NativeMissingError. */
  static async start(wasm: Uint8Array): Promise<NativeStage> {
    running ??= start();
    await running;
    return new NativeStage(Buffer.from(wasm).toString("hex"));
  }

  /** Rejects with ConfigureError when the stage refuses the row's configuration. */
  async run(row: Row): Promise<RowResult> {
    return (await askPacketThread({ wasm: this.wasm, row })) as RowResult;
  }
}
